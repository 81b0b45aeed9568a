/** `tracer evaluate --corpus FILE`: how good a transcoder set is for a model. */
import type { Command } from 'commander';
import { EVALUATE_DEFAULTS } from '../../engine/evaluate/types.ts';
import { perform } from '../perform.ts';
import { withBosFlag } from '../prompt.ts';
import type { Shell } from '../shell.ts';
import { anyNumber, layerList, nonNegative, outputName, wholeNumber } from '../values.ts';

interface EvaluateOptions {
  readonly corpus: string[];
  readonly tokens?: number;
  readonly context?: number;
  readonly layers?: number[];
  readonly resume?: boolean;
  readonly state?: string;
  readonly expectExplainedVariance?: number;
  readonly expectLossRecovered?: number;
  readonly expectL0AtMost?: number;
  readonly expectKlAtMost?: number;
}

const HELP = `
Examples:
  $ tracer evaluate --corpus documents.txt --tokens 20000 --transcoders gemma
  $ tracer evaluate --corpus documents.jsonl --layers none --transcoders ./my-set
  $ tracer evaluate --corpus held-out.txt --transcoders ./my-set --expect-explained-variance 0.6 --expect-loss-recovered 0.9`;

export function addEvaluate(program: Command, shell: Shell): void {
  const evaluate = program
    .command('evaluate')
    .description('how well a set rebuilds MLPs, and the model predicts with features in their place');
  evaluate.addHelpText('after', HELP);
  const command = withBosFlag(evaluate)
    .requiredOption(
      '--corpus <file...>',
      'text with one document a line, or JSON Lines with "text" (FILE.jsonl); - for standard input',
    )
    .option('--tokens <n>', 'tokens to measure (default: all of the corpus)', wholeNumber('--tokens', 1))
    .option(
      '--context <n>',
      `tokens read together (default: ${EVALUATE_DEFAULTS.context})`,
      wholeNumber('--context', 2),
    )
    .option(
      '--layers <list>',
      'layers that are also replaced one at a time, such as 0-5,9; none (default: all of the set)',
      layerList('--layers'),
    )
    .option('--resume', 'continue an evaluation that was interrupted')
    .option(
      '--state <file>',
      "where progress is kept (default: a file in the user's cache folder)",
      outputName('--state'),
    )
    .option(
      '--expect-explained-variance <x>',
      'exit with 6 if a layer has less',
      anyNumber('--expect-explained-variance'),
    )
    .option(
      '--expect-loss-recovered <x>',
      'exit with 6 if less of the loss is recovered with all layers replaced',
      anyNumber('--expect-loss-recovered'),
    )
    .option(
      '--expect-l0-at-most <x>',
      'exit with 6 if a layer has more active features a token',
      nonNegative('--expect-l0-at-most'),
    )
    .option(
      '--expect-kl-at-most <x>',
      'exit with 6 if KL is larger with all layers replaced',
      nonNegative('--expect-kl-at-most'),
    );
  command.action((options: EvaluateOptions) =>
    perform(shell, command, async ({ common }) => {
      const [{ evaluate: measure }, { evaluateView }, { withCorpusFiles }] = await Promise.all([
        import('../../engine/evaluate/evaluate.ts'),
        import('../../report/evaluate-view.ts'),
        import('../corpus.ts'),
      ]);
      const found = await withCorpusFiles(options.corpus, shell.host.stdin, shell.signal, (corpus) =>
        measure({ ...common, ...options, corpus }),
      );
      const result = { ...found, corpus: options.corpus };
      return { data: result, view: (screen) => evaluateView(result, screen) };
    }),
  );
}
