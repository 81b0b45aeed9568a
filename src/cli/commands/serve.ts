/** `tracer serve [DIR|GRAPH…]`: a local page where graphs are read, annotated and tested. */
import type { Command } from 'commander';
import { perform } from '../perform.ts';
import { withBosFlag } from '../prompt.ts';
import { startServing, withServeFlags, type ServeFlags } from '../serving.ts';
import type { Shell } from '../shell.ts';

const HERE = '.';

const HELP = `
Examples:
  $ tracer serve graphs --open
  $ tracer serve dallas.safetensors --transcoders gemma
  $ tracer attribute "The opposite of hot is" --serve

The address is printed when the page can be opened; --json prints one document then. Ctrl-C ends it.`;

export function addServe(program: Command, shell: Shell): void {
  const command = withBosFlag(
    withServeFlags(
      program
        .command('serve')
        .description('show graphs in the browser, annotate them, trace prompts, steer features')
        .argument(
          '[paths...]',
          'folders of graphs, graph files, or files of other viewers (default: this folder)',
        ),
    ),
  )
    .option('--features <dir>', 'feature pages to show, before those of the set')
    .option('--no-suggest', 'open graphs that nobody has annotated without a suggested circuit')
    .addHelpText('after', HELP);
  command.action((paths: string[], flags: ServeFlags) =>
    perform(shell, command, async (context) => {
      const { serveView } = await import('../../report/serve-view.ts');
      const { result, untilStopped } = await startServing(
        paths.length === 0 ? [HERE] : paths,
        flags,
        context,
      );
      return { data: result, view: () => serveView(result), goOn: untilStopped };
    }),
  );
}
