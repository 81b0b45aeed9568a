/** `tracer generate PROMPT`: a greedy or sampled continuation, optionally under interventions. */
import type { Command } from 'commander';
import { GENERATE_DEFAULTS } from '../../engine/generate/types.ts';
import type { ChatFlags } from '../chat.ts';
import {
  INTERVENTION_HELP,
  readInterventionFlags,
  withInterventionFlags,
  type InterventionFlags,
} from '../interventions.ts';
import { perform } from '../perform.ts';
import { readPrompt, withPromptFlags } from '../prompt.ts';
import type { Shell } from '../shell.ts';
import { collect, nonNegative, outputName, probability, wholeNumber } from '../values.ts';

interface GenerateOptions extends InterventionFlags, ChatFlags {
  readonly promptFile?: string;
  readonly tokens?: number[];
  readonly maxNewTokens: number;
  readonly temperature: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly seed?: number;
  readonly stopAtEos: boolean;
  readonly stop?: string[];
  readonly preActivations?: boolean;
  readonly output?: string;
}

const HELP = `
Examples:
  $ tracer generate "Once upon a time" --max-new-tokens 30
  $ tracer generate "Once upon a time" --temperature 0.8 --top-p 0.9 --seed 1
  $ tracer generate "Once upon a time" --set 1:2..:30=12
${INTERVENTION_HELP}
Open ranges (2..) include generated tokens, where a factor multiplies the activation found there.`;

export function addGenerate(program: Command, shell: Shell): void {
  const command = withPromptFlags(
    program.command('generate').description('continue a prompt, optionally with changed features'),
  )
    .option(
      '--max-new-tokens <n>',
      'tokens to add at most',
      wholeNumber('--max-new-tokens', 1),
      GENERATE_DEFAULTS.maxNewTokens,
    )
    .option(
      '--temperature <t>',
      '0: always the most likely token',
      nonNegative('--temperature'),
      GENERATE_DEFAULTS.temperature,
    )
    .option('--top-k <k>', 'draw among the k most likely tokens', wholeNumber('--top-k', 1))
    .option(
      '--top-p <p>',
      'draw among the most likely tokens that together have this probability',
      probability('--top-p'),
    )
    .option('--seed <n>', 'the same seed draws the same tokens', wholeNumber('--seed', 0))
    .option('--no-stop-at-eos', 'continue after a token that ends texts')
    .option('--stop <text>', 'end when the continuation contains this text (repeatable)', collect);
  withInterventionFlags(command)
    .option(
      '--output <file>',
      'write logits, activations and tokens to a safetensors file',
      outputName('--output'),
    )
    .option('--pre-activations', 'write the numbers before the activation function instead')
    .addHelpText('after', HELP);
  command.action((argument: string | undefined, options: GenerateOptions) =>
    perform(shell, command, async ({ common, stream }) => {
      const input = await readPrompt({ argument, ...options }, shell.host.stdin, shell.signal);
      const choice = await readInterventionFlags(options);
      const [{ generate }, { generateView }, { printableLines }] = await Promise.all([
        import('../../engine/generate/generate.ts'),
        import('../../report/generate-view.ts'),
        import('../../report/text.ts'),
      ]);
      // Control characters of a model's text must not reach a terminal; a file gets the text unchanged.
      const shown = shell.host.stdout.isTTY ? printableLines : (text: string) => text;
      const { maxNewTokens, temperature, topK, topP, seed, stopAtEos, stop, output, preActivations } =
        options;
      const result = await generate({
        ...common,
        ...choice,
        input,
        maxNewTokens,
        temperature,
        topK,
        topP,
        seed,
        stopAtEos,
        stop,
        output,
        preActivations,
        onText: stream ? (piece) => stream(shown(piece)) : undefined,
      });
      return { data: result, view: (screen) => generateView(result, screen) };
    }),
  );
}
