/** `tracer graph upload FILE`: a graph onto Neuronpedia. No model is loaded. */
import { Option, type Command } from 'commander';
import type { UploadedSubgraph } from '../../engine/graph/neuronpedia-types.ts';
import { perform } from '../perform.ts';
import type { Shell } from '../shell.ts';
import { givenThresholds, withThresholds, type ThresholdFlags } from './graph-thresholds.ts';

const SUBGRAPHS = ['annotated', 'suggested', 'none'] as const satisfies readonly UploadedSubgraph[];

interface UploadFlags extends ThresholdFlags {
  readonly slug?: string;
  readonly modelId?: string;
  readonly subgraph?: UploadedSubgraph;
  readonly subgraphName?: string;
  readonly replace?: boolean;
  readonly dryRun?: boolean;
  readonly baseUrl?: string;
}

const HELP = `
The key is read from NEURONPEDIA_API_KEY and written nowhere. The graph is public for everybody who has its link.

Examples:
  $ tracer graph upload dallas.safetensors --dry-run
  $ NEURONPEDIA_API_KEY=… tracer graph upload dallas.safetensors --slug dallas-austin
  $ NEURONPEDIA_API_KEY=… tracer graph upload dallas.safetensors --subgraph suggested`;

export function addUpload(graph: Command, shell: Shell): void {
  const command = withThresholds(graph.command('upload'))
    .description('publish a graph on Neuronpedia, with its pins and supernodes')
    .argument('<file>', "graph file, or a viewer's JSON")
    .option('--slug <name>', 'name of the graph there (default: that of the file)')
    .option('--model-id <name>', "Neuronpedia's name of the model (default: by the transcoder set)")
    .addOption(
      new Option('--subgraph <which>', 'pins and supernodes that are saved (default: annotated)').choices(
        SUBGRAPHS,
      ),
    )
    .option('--subgraph-name <text>', 'name of the saved subgraph')
    .option('--replace', 'replace your graph of the same name')
    .option('--dry-run', 'make and check what would be sent; no request is made')
    .option('--base-url <url>', 'another site than neuronpedia.org (default: $NEURONPEDIA_BASE_URL)')
    .addHelpText('after', HELP);
  command.action((file: string, options: UploadFlags) =>
    perform(shell, command, async ({ common }) => {
      const [{ uploadGraph }, { uploadView }] = await Promise.all([
        import('../../engine/graph/upload.ts'),
        import('../../report/neuronpedia-view.ts'),
      ]);
      const { cacheDir, offline, signal, onProgress } = common;
      const result = await uploadGraph({
        ...options,
        ...givenThresholds(command, options),
        ...{ cacheDir, offline, signal, onProgress },
        file,
      });
      return { data: result, view: (screen) => uploadView(result, screen) };
    }),
  );
}
