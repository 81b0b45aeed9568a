/** `tracer intervene PROMPT`: sets features and reports what changed. */
import type { Command } from 'commander';
import { INTERVENE_DEFAULTS, type InterventionChoice } from '../../engine/intervene/types.ts';
import type { CommonOptions } from '../../engine/request.ts';
import { EXIT, UsageError } from '../../errors.ts';
import { parseSweep, type Sweep } from '../../intervention/text-form.ts';
import { chatChoice, type ChatFlags } from '../chat.ts';
import {
  headChoice,
  INTERVENTION_HELP,
  readInterventionFlags,
  withHeadFlags,
  withInterventionFlags,
  type HeadFlags,
  type InterventionFlags,
} from '../interventions.ts';
import { perform, type Answer } from '../perform.ts';
import { readPrompt, withPromptFlags } from '../prompt.ts';
import type { Shell } from '../shell.ts';
import { collect, outputName, probability, wholeNumber } from '../values.ts';

interface InterveneOptions extends InterventionFlags, HeadFlags, ChatFlags {
  readonly promptFile?: string;
  readonly tokens?: number[];
  readonly preActivations?: boolean;
  readonly output?: string;
  readonly top: number;
  readonly features: number;
  readonly expect?: string[];
  readonly expectProb?: number;
  readonly sweep?: Sweep;
  readonly csv?: string;
  readonly batch?: string;
  readonly prompts?: string;
}

const HELP = `
Examples:
  $ tracer intervene "The capital of the state containing Dallas is" --set '2:8:15=*-2' --ablate 3:-1:40
  $ tracer intervene "Hello, world!" --sweep 1:2:30=-4..4/9
  $ tracer intervene "The capital of the state containing Dallas is" --remove-head 2.1:8:7
  $ tracer intervene --batch circuits.jsonl
  $ tracer intervene --prompts list.jsonl --ablate 1:-2:392 --output study/ablated.parquet
${INTERVENTION_HELP}
LAYER.HEAD names a head; QUERY and KEY are positions, negative from the end, or * for all. Its pattern is changed after the softmax.
A line of --batch: {"prompt":"…","interventions":["2:8:15=*-2"],"expect":" Austin","expect_not":"…","expect_prob":0.2};
heads in it are "remove_heads":["5.3:8"], "scale_heads":["5.3=0.5"], "renormalize":true.
An expectation that does not come true exits with 6; the other lines of a batch still run.`;

export function addIntervene(program: Command, shell: Shell): void {
  const command = withPromptFlags(
    program.command('intervene').description('change features of a prompt and see what follows'),
  );
  withHeadFlags(withInterventionFlags(command))
    .option('--sweep <range>', 'try a range: LAYER:POS:FEATURE=FROM..TO/COUNT', (text: string) =>
      parseSweep('--sweep', text),
    )
    .option('--csv <file>', 'write the table of --sweep as CSV', outputName('--csv'))
    .option(
      '--prompts <file>',
      'the same change in many prompts: JSON Lines {"slug":…,"prompt":…}, CSV, TSV or Parquet',
    )
    .option('--batch <file>', 'many prompts with what is expected of each, one JSON object a line')
    .option(
      '--top <k>',
      'most likely next tokens to compare',
      wholeNumber('--top', 1),
      INTERVENE_DEFAULTS.top,
    )
    .option(
      '--features <k>',
      'features that changed most to show',
      wholeNumber('--features', 0),
      INTERVENE_DEFAULTS.features,
    )
    .option(
      '--expect <token>',
      'fail unless the most likely next token is then one of these (repeatable)',
      collect,
    )
    .option('--expect-prob <p>', 'fail unless its probability is at least this', probability('--expect-prob'))
    .option(
      '--output <file>',
      'write logits and activations to a safetensors file; with --prompts a table, .parquet or .jsonl',
      outputName('--output'),
    )
    .option('--pre-activations', 'write the numbers before the activation function instead')
    .addHelpText('after', HELP);
  command.action((argument: string | undefined, options: InterveneOptions) =>
    perform(shell, command, async ({ common }) => {
      checkTogether(argument, options);
      const choice = { ...(await readInterventionFlags(options)), ...headChoice(options) };
      if (options.batch !== undefined) return await runBatch(options.batch, options, common);
      if (options.prompts !== undefined) {
        return await runList({ ...common, ...choice, prompts: options.prompts }, options);
      }
      const input = await readPrompt({ argument, ...options }, shell.host.stdin, shell.signal);
      return options.sweep
        ? await runSweep({ ...common, ...choice, input, sweep: options.sweep }, options)
        : await runOnce({ ...common, ...choice, input }, options);
    }),
  );
}

type Asked = CommonOptions & InterventionChoice & { input: Awaited<ReturnType<typeof readPrompt>> };

async function runOnce(asked: Asked, options: InterveneOptions): Promise<Answer> {
  const [{ intervene }, { interveneView }] = await Promise.all([
    import('../../engine/intervene/intervene.ts'),
    import('../../report/intervene-view.ts'),
  ]);
  const { top, features, output, preActivations, expect, expectProb } = options;
  const result = await intervene({
    ...asked,
    top,
    features,
    output,
    preActivations,
    expect,
    expectProbability: expectProb,
  });
  return { data: result, view: (screen) => interveneView(result, screen) };
}

async function runSweep(asked: Asked & { sweep: Sweep }, { top, csv }: InterveneOptions): Promise<Answer> {
  const [{ sweep }, { sweepView }] = await Promise.all([
    import('../../engine/intervene/sweep.ts'),
    import('../../report/sweep-view.ts'),
  ]);
  const result = await sweep({ ...asked, top, csv });
  return { data: result, view: (screen) => sweepView(result, screen) };
}

async function runBatch(file: string, options: InterveneOptions, common: CommonOptions): Promise<Answer> {
  const [{ interveneBatch, readBatch }, { batchView }] = await Promise.all([
    import('../../engine/intervene/batch.ts'),
    import('../../report/batch-view.ts'),
  ]);
  const cases = await readBatch(file, chatChoice(options));
  const result = await interveneBatch({ ...common, cases, top: options.top });
  return {
    data: result,
    view: (screen) => batchView(result, screen),
    exitCode: result.n_failed > 0 ? EXIT.expectation : EXIT.done,
  };
}

async function runList(
  asked: CommonOptions & InterventionChoice & { prompts: string },
  options: InterveneOptions,
): Promise<Answer> {
  const [{ intervenePrompts }, { intervenedView }] = await Promise.all([
    import('../../engine/intervene/prompts.ts'),
    import('../../report/intervened-view.ts'),
  ]);
  const { top, output } = options;
  const result = await intervenePrompts({ ...asked, chat: chatChoice(options), top, output });
  return {
    data: result,
    view: (screen) => intervenedView(result, screen),
    exitCode: result.prompts.find((one) => !one.ok)?.exit_code ?? EXIT.done,
  };
}

/** Each mode has its own flags; flags that the mode would ignore are refused. */
function checkTogether(argument: string | undefined, options: InterveneOptions): void {
  const given = (names: Readonly<Record<string, unknown>>): string[] =>
    Object.entries(names).flatMap(([name, value]) => (value === undefined ? [] : [name]));
  const changes = given({
    '--set': options.set,
    '--ablate': options.ablate,
    '--interventions': options.interventions,
    '--supernode': options.supernode,
    '--remove-head': options.removeHead,
    '--scale-head': options.scaleHead,
    '--renormalize': options.renormalize,
    '--free-attention': options.freeAttention,
    '--constrained-layers': options.constrainedLayers,
  });
  const prompts = given({
    'a prompt': argument,
    '--prompt-file': options.promptFile,
    '--tokens': options.tokens,
  });
  const single = given({
    '--output': options.output,
    '--pre-activations': options.preActivations,
    '--expect': options.expect,
    '--expect-prob': options.expectProb,
  });
  const sweep = given({ '--sweep': options.sweep, '--csv': options.csv });
  const list = given({ '--prompts': options.prompts });
  const ofOne = single.filter((flag) => flag !== '--output');
  if (options.batch !== undefined)
    refuseWith('--batch', [...prompts, ...list, ...changes, ...single, ...sweep]);
  else if (options.prompts !== undefined) refuseWith('--prompts', [...prompts, ...ofOne, ...sweep]);
  else if (options.sweep !== undefined) refuseWith('--sweep', single);
  else if (options.csv !== undefined) {
    throw new UsageError({
      code: 'csv_without_sweep',
      message: '--csv writes the table of --sweep, which is missing',
      hint: 'Add --sweep LAYER:POS:FEATURE=FROM..TO/COUNT.',
    });
  }
}

function refuseWith(flag: string, others: readonly string[]): void {
  if (others.length === 0) return;
  throw new UsageError({
    code: 'flags_exclude_each_other',
    message: `${flag} cannot be combined with ${others.join(', ')}`,
    hint:
      flag === '--batch'
        ? 'The lines of the file say it: prompt, interventions, remove_heads, scale_heads, renormalize, free_attention, constrained_layers, expect, expect_not, expect_prob.'
        : 'Leave out one of them.',
  });
}
