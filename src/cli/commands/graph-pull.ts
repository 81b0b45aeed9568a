/** `tracer graph pull LINK`: a graph that is published on Neuronpedia. Of a model, at most the tokenizer is loaded. */
import type { Command } from 'commander';
import { perform } from '../perform.ts';
import type { Shell } from '../shell.ts';
import { typed } from '../typed.ts';
import { outputName } from '../values.ts';

interface PullFlags {
  readonly output: string;
  readonly subgraph?: string;
  readonly baseUrl?: string;
}

const HELP = `
A link is the address of the graph's page, with the pins and supernodes in it, that of its JSON, or MODEL/NAME. Pins and supernodes
become annotations beside the file.

Examples:
  $ tracer graph pull 'https://www.neuronpedia.org/gemma-2-2b/graph?slug=gemma-fact-dallas-austin' --output dallas.json
  $ tracer graph pull gemma-2-2b/gemma-fact-dallas-austin --output dallas.safetensors --model gemma-2-2b`;

export function addPull(graph: Command, shell: Shell): void {
  const command = graph
    .command('pull')
    .description('a graph that is published on Neuronpedia, as a file')
    .argument('<link>', 'address of the graph, or MODEL/NAME')
    .requiredOption(
      '--output <file>',
      "NAME.safetensors: graph file; NAME.json: viewer's file",
      outputName('--output'),
    )
    .option('--subgraph <name>', 'saved subgraph, by its id or name, instead of the pins in the link')
    .option('--base-url <url>', 'another site than neuronpedia.org (default: $NEURONPEDIA_BASE_URL)')
    .addHelpText('after', HELP);
  command.action((link: string, options: PullFlags) =>
    perform(shell, command, async ({ common, settings }) => {
      const [{ pullGraph }, { pullView }] = await Promise.all([
        import('../../engine/graph/pull.ts'),
        import('../../report/neuronpedia-view.ts'),
      ]);
      const { cacheDir, offline, signal, onProgress, revision } = common;
      const result = await pullGraph({
        ...{ cacheDir, offline, signal, onProgress, revision },
        model: typed(settings.model),
        ...options,
        link,
      });
      return { data: result, view: (screen) => pullView(result, screen) };
    }),
  );
}
