/** `tracer graph import FILE.pt`: a graph of circuit-tracer as a graph file. Of the model, at most the tokenizer is loaded. */
import type { Command } from 'commander';
import { perform } from '../perform.ts';
import type { Shell } from '../shell.ts';
import { typed } from '../typed.ts';
import { outputName } from '../values.ts';

const HELP = `
Nothing in the file is run. It has no texts of the prompt's tokens: with --model they are those of its tokenizer.

Example:
  $ tracer graph import dallas.pt --model gemma --output dallas.safetensors`;

export function addImport(graph: Command, shell: Shell): void {
  const command = graph
    .command('import')
    .description('a graph that Graph.to_pt of circuit-tracer wrote, as a graph file')
    .argument('<file>', '.pt file')
    .requiredOption('--output <file>', 'graph file to write', outputName('--output'))
    .addHelpText('after', HELP);
  command.action((file: string, { output }: { output: string }) =>
    perform(shell, command, async ({ common, settings }) => {
      const [{ importGraph }, { importView }] = await Promise.all([
        import('../../engine/graph/import.ts'),
        import('../../report/graph-view.ts'),
      ]);
      const result = await importGraph({ ...common, model: typed(settings.model), file, output });
      return { data: result, view: (screen) => importView(result, screen) };
    }),
  );
}
