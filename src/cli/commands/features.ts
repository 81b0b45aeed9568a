/** `tracer features …`: pages of features from a corpus, and the labels that people give to features. */
import type { Command } from 'commander';
import { FEATURES_DEFAULTS } from '../../engine/features/types.ts';
import { perform } from '../perform.ts';
import { addExplain } from './features-explain.ts';
import { addFetch } from './features-fetch.ts';
import { withBosFlag } from '../prompt.ts';
import type { Shell } from '../shell.ts';
import { layerRange, outputName, wholeNumber } from '../values.ts';

interface BuildOptions {
  readonly corpus: string;
  readonly output?: string;
  readonly layers?: { readonly from: number; readonly to: number };
  readonly context?: number;
  readonly examples: number;
  readonly logits: number;
  readonly resume?: boolean;
}

const HELP = `
Examples:
  $ tracer features build --corpus documents.txt --transcoders ./my-set
  $ tracer features label 1 5 'names of states'
  $ tracer features labels --export labels.json
  $ tracer features explain --graph dallas.safetensors --base-url http://localhost:11434/v1 --explainer qwen3:8b
  $ tracer features fetch --graph dallas.safetensors --transcoders gemma`;

export function addFeatures(program: Command, shell: Shell): void {
  const features = program
    .command('features')
    .description(
      'build pages of features from a corpus, or fetch them; label features, also by a language model',
    );
  features.addHelpText('after', HELP);
  addBuild(features, shell);
  addLabel(features, shell);
  addLabels(features, shell);
  addExplain(features, shell);
  addFetch(features, shell);
}

function addBuild(features: Command, shell: Shell): void {
  const build = features
    .command('build')
    .description('examples, histogram, frequency and promoted tokens of every feature, from a corpus');
  const command = withBosFlag(build)
    .requiredOption(
      '--corpus <file>',
      'text with one document a line, or JSON Lines with "text" (FILE.jsonl)',
    )
    .option(
      '--output <dir>',
      'folder for the pages (default: features inside a set that is a local folder)',
      outputName('--output'),
    )
    .option('--layers <range>', 'only layers FROM:TO (end excluded); others stay', layerRange('--layers'))
    .option(
      '--context <n>',
      `tokens read together (default: ${FEATURES_DEFAULTS.context})`,
      wholeNumber('--context', 2),
    )
    .option(
      '--examples <n>',
      'strongest examples of each feature',
      wholeNumber('--examples', 1),
      FEATURES_DEFAULTS.examples,
    )
    .option(
      '--logits <n>',
      'tokens that a feature promotes and suppresses; 0: none',
      wholeNumber('--logits', 0),
      FEATURES_DEFAULTS.logits,
    )
    .option('--resume', 'continue a build that was interrupted');
  command.action((options: BuildOptions) =>
    perform(shell, command, async ({ common }) => {
      const [{ buildFeatures }, { buildView }] = await Promise.all([
        import('../../engine/features/build.ts'),
        import('../../report/features-view.ts'),
      ]);
      const result = await buildFeatures({ ...common, ...options });
      return { data: result, view: (screen) => buildView(result, screen) };
    }),
  );
}

function addLabel(features: Command, shell: Shell): void {
  const command = features
    .command('label')
    .description("set a feature's label, or show it; an empty text takes it back")
    .argument('<layer>', 'its layer', wholeNumber('layer', 0))
    .argument('<feature>', 'its number', wholeNumber('feature', 0))
    .argument('[text]', 'the label');
  command.action((layer: number, feature: number, text: string | undefined) =>
    perform(shell, command, async ({ common }) => {
      const [{ labelFeature }, { labelView }] = await Promise.all([
        import('../../engine/features/labels.ts'),
        import('../../report/features-view.ts'),
      ]);
      const result = await labelFeature({ ...common, layer, feature, text });
      return { data: result, view: (screen) => labelView(result, screen) };
    }),
  );
}

function addLabels(features: Command, shell: Shell): void {
  const command = features
    .command('labels')
    .description('list the labels of a set')
    .option('--import <file>', 'take over labels: an exported file, or {"LAYER_FEATURE": "text"}')
    .option('--export <file>', 'write all labels to a file', outputName('--export'));
  command.action((options: { import?: string; export?: string }) =>
    perform(shell, command, async ({ common }) => {
      const [{ listLabels }, { labelsView }] = await Promise.all([
        import('../../engine/features/labels.ts'),
        import('../../report/features-view.ts'),
      ]);
      const result = await listLabels({ ...common, ...options });
      return { data: result, view: (screen) => labelsView(result, screen) };
    }),
  );
}
