/** `tracer features explain [FEATURE…]`: labels by a language model behind OpenAI's interface, each with a score. */
import type { Command } from 'commander';
import { EXPLAIN_DEFAULTS } from '../../engine/features/explain-types.ts';
import { UsageError } from '../../errors.ts';
import { perform } from '../perform.ts';
import type { Shell } from '../shell.ts';
import { typed } from '../typed.ts';
import { layerRange, wholeNumber } from '../values.ts';

interface ExplainOptions {
  readonly graph?: string;
  readonly layers?: { readonly from: number; readonly to: number };
  readonly limit?: number;
  readonly features?: string;
  readonly baseUrl?: string;
  readonly explainer?: string;
  readonly scorer?: string;
  readonly keyEnv?: string;
  readonly examples: number;
  readonly heldOut: number;
  readonly budget?: number;
  readonly concurrency: number;
  readonly answerTokens: number;
  readonly timeout: number;
  readonly again?: boolean;
  readonly dryRun?: boolean;
}

/** A day; a timer of Node ends at once beyond 24. */
const LONGEST_TIMEOUT_SECONDS = 86_400;

const HELP = `
Examples:
  $ tracer features explain 1:392 --dry-run
  $ tracer features explain --graph dallas.safetensors --base-url http://localhost:11434/v1 --explainer qwen3:8b
  $ OPENAI_API_KEY=… tracer features explain --layers 0:4 --base-url https://llm.example.org/v1 --explainer NAME --budget 2000000

The key is read from the environment and written nowhere. Labels that are complete stay: the same command goes on after them.`;

export function addExplain(features: Command, shell: Shell): void {
  const number = (flag: string, least: number) => wholeNumber(flag, least);
  const command = features
    .command('explain')
    .description('labels by a language model, scored on texts that it did not see')
    .argument('[features...]', 'LAYER:FEATURE')
    .option('--graph <file>', 'the features of a graph, the most influential first')
    .option('--layers <range>', 'all features of layers FROM:TO (end excluded)', layerRange('--layers'))
    .option('--limit <n>', 'at most so many new labels', number('--limit', 1))
    .option('--features <dir>', 'feature pages, before those of the set')
    .option('--base-url <url>', "server with OpenAI's interface (default: $OPENAI_BASE_URL)")
    .option('--explainer <name>', 'language model that writes the labels')
    .option('--scorer <name>', 'language model that scores them (default: the same)')
    .option('--key-env <name>', 'environment variable with the key (default: OPENAI_API_KEY)')
    .option(
      '--examples <n>',
      'texts with the feature that are shown',
      number('--examples', 1),
      EXPLAIN_DEFAULTS.examples,
    )
    .option(
      '--held-out <n>',
      'texts with the feature, and as many without it, of the score; 0: no score',
      number('--held-out', 0),
      EXPLAIN_DEFAULTS.heldOut,
    )
    .option('--budget <tokens>', 'tokens that this may cost, asked and answered', number('--budget', 1))
    .option(
      '--concurrency <n>',
      'features that are asked about at once',
      number('--concurrency', 1),
      EXPLAIN_DEFAULTS.concurrency,
    )
    .option(
      '--answer-tokens <n>',
      'tokens of an answer, reasoning included',
      number('--answer-tokens', 1),
      EXPLAIN_DEFAULTS.maxTokens,
    )
    .option(
      '--timeout <seconds>',
      'how long an answer may take',
      wholeNumber('--timeout', 1, LONGEST_TIMEOUT_SECONDS),
      EXPLAIN_DEFAULTS.timeoutSeconds,
    )
    .option('--again', 'label features again that have such a label')
    .option('--dry-run', 'show the first prompt and the cost in tokens; nothing is sent')
    .addHelpText('after', HELP);
  command.action((names: string[], options: ExplainOptions) =>
    perform(shell, command, async ({ common, settings }) => {
      const [{ explainFeatures }, { explainView }] = await Promise.all([
        import('../../engine/features/explain.ts'),
        import('../../report/explain-view.ts'),
      ]);
      const { keyEnv, answerTokens, timeout, graph, ...rest } = options;
      const result = await explainFeatures({
        ...common,
        // The set that a graph names takes precedence over settings.
        ...(graph !== undefined && {
          model: typed(settings.model),
          transcoders: typed(settings.transcoders),
        }),
        ...rest,
        graph,
        keyVariable: keyEnv,
        maxTokens: answerTokens,
        timeoutSeconds: timeout,
        chosen: names.map(parseFeature),
      });
      return { data: result, view: (screen) => explainView(result, screen) };
    }),
  );
}

export function parseFeature(text: string): { layer: number; feature: number } {
  const parts = /^(\d+)[:_/](\d+)$/.exec(text.trim());
  if (parts) return { layer: Number(parts[1]), feature: Number(parts[2]) };
  throw new UsageError({
    code: 'bad_value',
    message: `expected LAYER:FEATURE, found '${text}'`,
    hint: 'Write it as 1:392.',
  });
}
