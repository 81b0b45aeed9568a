/** `tracer features fetch [FEATURE…]`: labels, examples and densities from Neuronpedia, for sets that it knows. */
import type { Command } from 'commander';
import { perform } from '../perform.ts';
import type { Shell } from '../shell.ts';
import { typed } from '../typed.ts';
import { layerList, wholeNumber } from '../values.ts';
import { parseFeature } from './features-explain.ts';

interface FetchOptions {
  readonly graph?: string;
  readonly bulk?: boolean;
  readonly layers?: readonly number[];
  readonly source?: string;
  readonly baseUrl?: string;
  readonly max?: number;
  readonly again?: boolean;
  readonly dryRun?: boolean;
}

const HELP = `
Examples:
  $ tracer features fetch --graph dallas.safetensors --dry-run
  $ tracer features fetch 3:17 3:42 --transcoders gemma
  $ tracer features fetch --bulk --layers 0-5 --transcoders qwen3-4b

A few features are asked for one by one, at most four a second; --bulk fetches the exports of whole layers. What is there stays:
the same command goes on after it, and what was fetched is used without a network. Your own pages and labels come before it.
No key is needed for what is public; one is read from NEURONPEDIA_API_KEY.`;

export function addFetch(features: Command, shell: Shell): void {
  const command = features
    .command('fetch')
    .description('labels, examples and densities from Neuronpedia')
    .argument('[features...]', 'LAYER:FEATURE, also several with commas between them')
    .option('--graph <file>', 'the features of a graph, the most influential first')
    .option('--bulk', 'all features, from the exports')
    .option('--layers <list>', 'of --graph or --bulk only these: 0-5,9', layerList('--layers'))
    .option('--source <name>', 'MODEL/SOURCE there, with {layer} for the layer (default: that of the preset)')
    .option('--base-url <url>', 'another site than neuronpedia.org (default: $NEURONPEDIA_BASE_URL)')
    .option('--max <n>', 'at most so many requests', wholeNumber('--max', 1))
    .option('--again', 'fetch again what is there, and ask again for what was unknown')
    .option('--dry-run', 'fetch nothing: how many requests and bytes it would be')
    .addHelpText('after', HELP);
  command.action((names: string[], options: FetchOptions) =>
    perform(shell, command, async ({ common, settings }) => {
      const [{ fetchFeatures }, { fetchView }] = await Promise.all([
        import('../../engine/features/fetch.ts'),
        import('../../report/fetch-view.ts'),
      ]);
      const result = await fetchFeatures({
        ...common,
        // The set that a graph names takes precedence over settings.
        ...(options.graph !== undefined && {
          model: typed(settings.model),
          transcoders: typed(settings.transcoders),
        }),
        ...options,
        chosen: names.flatMap((list) => list.split(',')).map(parseFeature),
      });
      return { data: result, view: (screen) => fetchView(result, screen) };
    }),
  );
}
