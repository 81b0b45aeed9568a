/** `tracer graph suggest FILE`: a circuit of a few named boxes. */
import { Option, type Command } from 'commander';
import type { SuggestFormat } from '../../engine/graph/suggest.ts';
import { FEWEST_BOXES, SUGGEST_DEFAULTS } from '../../suggest/limits.ts';
import { perform } from '../perform.ts';
import type { Shell } from '../shell.ts';
import { outputName, wholeNumber } from '../values.ts';
import { givenThresholds, withThresholds, type ThresholdFlags } from './graph-thresholds.ts';

const FORMATS = ['annotations', 'neuronpedia'] as const satisfies readonly SuggestFormat[];

interface SuggestFlags extends ThresholdFlags {
  readonly maxBoxes: number;
  readonly maxNodes: number;
  readonly output?: string;
  readonly format?: SuggestFormat;
}

const HELP = `
Boxes are groups of features that read and write alike, tokens, and explained tokens. The circuit is a proposal by rules, not a finding.

Examples:
  $ tracer graph suggest dallas.safetensors
  $ tracer graph suggest dallas.safetensors --output dallas.annotations.json   # then: tracer serve, or graph export --subgraph
  $ tracer graph suggest dallas.safetensors --format neuronpedia --output dallas.json`;

export function addSuggest(graph: Command, shell: Shell): void {
  const command = withThresholds(graph.command('suggest'))
    .description('a circuit to begin with: features grouped, named and scored')
    .argument('<file>', "graph file, or a viewer's JSON")
    .option(
      '--max-boxes <n>',
      'boxes at most',
      wholeNumber('--max-boxes', FEWEST_BOXES),
      SUGGEST_DEFAULTS.maxBoxes,
    )
    .option('--max-nodes <n>', 'features at most', wholeNumber('--max-nodes', 1), SUGGEST_DEFAULTS.maxNodes)
    .option('--output <file>', 'write it as pins and supernodes', outputName('--output'))
    .addOption(new Option('--format <name>', 'format of --output (default: annotations)').choices(FORMATS))
    .addHelpText('after', HELP);
  command.action((file: string, options: SuggestFlags) =>
    perform(shell, command, async ({ common }) => {
      const [{ suggestForFile }, { suggestView }] = await Promise.all([
        import('../../engine/graph/suggest.ts'),
        import('../../report/suggest-view.ts'),
      ]);
      const { cacheDir } = common;
      const result = await suggestForFile(file, {
        ...options,
        ...givenThresholds(command, options),
        cacheDir,
        signal: shell.signal,
      });
      return { data: result, view: (screen) => suggestView(result, screen) };
    }),
  );
}
