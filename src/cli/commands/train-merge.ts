/** `tracer train merge DIR… --output DIR`: the parts of a set that `train --shard` wrote, as one set. */
import type { Command } from 'commander';
import { perform } from '../perform.ts';
import type { Shell } from '../shell.ts';
import { outputName } from '../values.ts';

interface MergeFlags {
  readonly output: string;
  /** False with --no-evaluate. */
  readonly evaluate: boolean;
}

const HELP = `
Model, corpus and recipe of all parts have to be the same, and each layer in one of them.
The set is evaluated on held-out documents, as at the end of a training.

Examples:
  $ tracer train merge parts/* --output ./set
  $ tracer train merge parts/1 parts/3 --output ./set --allow-missing-layers`;

export function addTrainMerge(train: Command, shell: Shell): void {
  const command = train
    .command('merge')
    .description('join the parts of a set that were trained with --shard')
    .argument('<parts...>', 'folders of the parts')
    .requiredOption('--output <folder>', 'where the set is written', outputName('--output'))
    .option('--no-evaluate', 'write the set without measuring it, which needs the model')
    .addHelpText('after', HELP);
  command.action((parts: string[], flags: MergeFlags) =>
    perform(shell, command, async ({ common, settings }) => {
      const [{ mergeTraining }, { mergeView }] = await Promise.all([
        import('../../engine/train/merge.ts'),
        import('../../report/merge-view.ts'),
      ]);
      // Parts name their model; one of a settings file may be another.
      const isTyped = settings.model?.from.startsWith('--') ?? false;
      const model = isTyped ? common.model : undefined;
      const result = await mergeTraining({ ...common, ...flags, model, parts });
      return { data: result, view: (screen) => mergeView(result, screen) };
    }),
  );
}
