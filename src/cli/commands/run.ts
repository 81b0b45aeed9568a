/** `tracer run PROMPT`: one forward pass of the replacement model. */
import type { Command } from 'commander';
import { REQUEST_DEFAULTS } from '../../engine/request.ts';
import { UsageError } from '../../errors.ts';
import type { ChatFlags } from '../chat.ts';
import { perform } from '../perform.ts';
import { readPrompt, withPromptFlags } from '../prompt.ts';
import type { Shell } from '../shell.ts';
import { collect, outputName, probability, wholeNumber } from '../values.ts';

interface RunOptions extends ChatFlags {
  readonly promptFile?: string;
  readonly tokens?: number[];
  readonly top: number;
  readonly features?: number;
  readonly expect?: string[];
  readonly expectProb?: number;
  readonly saveActivations?: string;
  readonly names?: string[];
  readonly patterns?: string;
  readonly saveFeatures?: string;
  readonly repeat?: number;
}

const HELP = `
Examples:
  $ tracer run "Hello, world!" --features 3
  $ printf 'The capital of Texas is' | tracer run - --expect ' Austin' --expect-prob 0.2
  $ tracer run --tokens 2,651 --save-activations a.safetensors --names 'blocks.*.hook_mlp_out' logits

Texts are taken as they are: 'echo' adds a line feed, 'printf' does not.
An expectation that is not met exits with 6 and says what came instead, with --json as an error.
--save-features writes position 0 as it is; files are written before expectations are looked at.`;

export function addRun(program: Command, shell: Shell): void {
  const command = withPromptFlags(
    program.command('run').description('run a prompt through the replacement model'),
  )
    .option('--top <k>', 'most likely next tokens to show', wholeNumber('--top', 0), REQUEST_DEFAULTS.top)
    .option('--features <k>', 'strongest features of each token to show', wholeNumber('--features', 0))
    .option(
      '--expect <token>',
      'fail unless the most likely next token is one of these (repeatable)',
      collect,
    )
    .option('--expect-prob <p>', 'fail unless its probability is at least this', probability('--expect-prob'))
    .option(
      '--save-activations <file>',
      'write hook values to a safetensors file',
      outputName('--save-activations'),
    )
    .option('--names <pattern...>', "hooks to write, such as 'blocks.*.hook_mlp_out' (default: all)")
    .option(
      '--patterns <file>',
      'write the attention patterns of all layers to a safetensors file',
      outputName('--patterns'),
    )
    .option(
      '--save-features <file>',
      'write all active features to a safetensors file',
      outputName('--save-features'),
    )
    .option('--repeat <n>', 'time so many later passes', wholeNumber('--repeat', 1))
    .addHelpText('after', HELP);
  command.action((argument: string | undefined, options: RunOptions) =>
    perform(shell, command, async ({ common }) => {
      const saveActivations = activationFile(options);
      const input = await readPrompt({ argument, ...options }, shell.host.stdin, shell.signal);
      const [{ run }, { runView }] = await Promise.all([
        import('../../engine/run/run.ts'),
        import('../../report/run-view.ts'),
      ]);
      const result = await run({
        ...common,
        input,
        top: options.top,
        features: options.features,
        expect: options.expect,
        expectProbability: options.expectProb,
        saveActivations,
        savePatterns: options.patterns,
        saveFeatures: options.saveFeatures,
        repeat: options.repeat,
      });
      return { data: result, view: (screen) => runView(result, screen) };
    }),
  );
}

function activationFile({ saveActivations: file, names }: RunOptions) {
  if (file !== undefined) return { file, names: names ?? [] };
  if (names === undefined) return undefined;
  throw new UsageError({
    code: 'names_without_file',
    message: '--names chooses what --save-activations writes, which is missing',
    hint: 'Add --save-activations FILE.',
  });
}
