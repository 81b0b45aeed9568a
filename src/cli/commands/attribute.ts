/** `tracer attribute PROMPT`: the attribution graph of a prompt. */
import { Option, type Command } from 'commander';
import type { Device } from '../../backend/backend.ts';
import {
  ATTRIBUTE_DEFAULTS,
  type AttributeResult,
  type PromptResult,
  type StoreChoice,
} from '../../engine/attribute/types.ts';
import type { Shard } from '../../engine/shard.ts';
import { EXIT, UsageError } from '../../errors.ts';
import { chatChoice, type ChatFlags } from '../chat.ts';
import { perform, type Answer } from '../perform.ts';
import { readPrompt, withPromptFlags } from '../prompt.ts';
import { shard, SHARD_FLAG, SHARD_HELP } from '../shard.ts';
import { refuseServeFlags, serveAfter, withOutput, withServeFlags, type ServeFlags } from '../serving.ts';
import type { Shell } from '../shell.ts';
import { readTargets, withTargetFlags, type TargetFlags } from '../targets.ts';
import { devices, outputName, probability, wholeNumber } from '../values.ts';

interface AttributeOptions extends TargetFlags, Omit<ServeFlags, 'features'>, ChatFlags {
  readonly serve?: boolean;
  readonly promptFile?: string;
  readonly prompts?: string;
  readonly shard?: Shard;
  readonly devices?: readonly Device[];
  readonly store: StoreChoice;
  readonly resume?: boolean;
  readonly verify?: number;
  readonly tokens?: number[];
  readonly targetPosition?: number;
  readonly output?: string;
  readonly graphDir?: string;
  readonly slug?: string;
  readonly scan?: string;
  readonly features?: string;
  readonly batchSize: number;
  readonly updateInterval: number;
  readonly maxFeatureNodes: number;
  readonly selection: 'reference' | 'exact';
  readonly nodeThreshold: number;
  readonly edgeThreshold: number;
}

const HELP = `
Examples:
  $ tracer attribute "The capital of the state containing Dallas is" --output dallas.safetensors
  $ tracer attribute "The opposite of hot is" --graph-dir graphs --slug opposite
  $ tracer attribute "Paris is in" --target-difference ' France' ' Italy'
  $ tracer attribute --prompts prompts.jsonl --graph-dir graphs
  $ tracer attribute --prompts prompts.csv --output graphs --shard 1/8
  $ tracer attribute "The opposite of hot is" --serve --open`;

export function addAttribute(program: Command, shell: Shell): void {
  const defaults = ATTRIBUTE_DEFAULTS;
  const command = withPromptFlags(
    program.command('attribute').description('trace which features and tokens caused the next token'),
  )
    .option(
      '--prompts <file>',
      'many prompts: JSON Lines {"slug":…,"prompt":…}, CSV, TSV or Parquet; finished ones are skipped',
    )
    .option(
      '--devices <names>',
      'with --prompts, a process for each of these: cuda:0,cuda:1',
      devices('--devices'),
    )
    .option(SHARD_FLAG, `trace a part of --prompts: ${SHARD_HELP}`, shard(shell.host.env))
    .option(
      '--output <file>',
      'write the graph (safetensors); with --prompts a folder',
      outputName('--output'),
    )
    .option(
      '--graph-dir <dir>',
      "write the viewer's file and graph-metadata.json; needs --slug",
      outputName('--graph-dir'),
    )
    .option('--slug <name>', 'name of the graph in --graph-dir')
    .option('--scan <name>', 'what feature pages are looked up under (default: as the set says)')
    .option('--features <dir>', "feature pages whose labels are shown, before the set's own");
  withTargetFlags(command)
    .option('--batch-size <n>', 'rows computed together', wholeNumber('--batch-size', 1), defaults.batchSize)
    .option(
      '--update-interval <n>',
      'batches between two rankings of features',
      wholeNumber('--update-interval', 1),
      defaults.updateInterval,
    )
    .option(
      '--max-feature-nodes <n>',
      'features in the graph at most; 0: no limit',
      wholeNumber('--max-feature-nodes', 0),
      defaults.maxFeatureNodes,
    )
    .addOption(
      new Option('--selection <how>', 'how features are chosen under the limit')
        .choices(['reference', 'exact'])
        .default(defaults.selection),
    )
    .option(
      '--node-threshold <p>',
      "share of influence kept in the viewer's file",
      probability('--node-threshold'),
      defaults.nodeThreshold,
    )
    .option(
      '--edge-threshold <p>',
      'share of edge scores kept',
      probability('--edge-threshold'),
      defaults.edgeThreshold,
    )
    .addOption(
      new Option(
        '--store <what>',
        'what a graph file holds: all rows, or the nodes and links that pruning leaves',
      )
        .choices(['full', 'nodes'])
        .default(defaults.store),
    )
    .option(
      '--resume',
      'keep rows beside the output while they are computed, and continue with those that are there',
    )
    .option(
      '--verify <n>',
      'check n random edges, and all row sums, against the model',
      wholeNumber('--verify', 1),
    )
    .option('--serve', 'look at it in the browser afterwards, as with `tracer serve`');
  withServeFlags(command).addHelpText('after', HELP);
  command.action((argument: string | undefined, typed: AttributeOptions) =>
    perform(shell, command, async (context) => {
      const { common } = context;
      if (!typed.serve) refuseServeFlags(typed);
      const options = typed.serve ? await withOutput(typed) : typed;
      const finish = (answer: Answer): Answer | Promise<Answer> =>
        options.serve ? serveAfter(answer, options, context) : answer;
      const targets = await readTargets(options);
      if (options.prompts !== undefined) {
        refuseWithPrompts(argument, options);
        const chat = chatChoice(options);
        const [{ attributePrompts }, { promptsView }] = await Promise.all([
          import('../../engine/attribute/prompts.ts'),
          import('../../report/prompts-view.ts'),
        ]);
        const { prompts } = options;
        const result = await attributePrompts({ ...common, ...options, chat, targets, prompts });
        const bad = result.prompts.map(exitCodeOf).find((code) => code !== EXIT.done);
        const exitCode = bad ?? EXIT.done;
        return await finish({ data: result, view: (screen) => promptsView(result, screen), exitCode });
      }
      if (options.shard) throw flagOfNoList('--shard names a part of');
      if (options.devices) throw flagOfNoList('--devices are for');
      const input = await readPrompt({ argument, ...options }, shell.host.stdin, shell.signal);
      const [{ attribute }, { attributeView }] = await Promise.all([
        import('../../engine/attribute/attribute.ts'),
        import('../../report/attribute-view.ts'),
      ]);
      const result = await attribute({ ...common, ...options, targets, input });
      const exitCode = verdict(result);
      return await finish({ data: result, view: (screen) => attributeView(result, screen), exitCode });
    }),
  );
}

/** A graph that failed its verification is still written and shown. */
function verdict({ verification }: AttributeResult): number {
  return verification?.ok === false ? EXIT.unexpected : EXIT.done;
}

function exitCodeOf(result: PromptResult): number {
  if (!result.ok) return result.exit_code;
  return result.skipped ? EXIT.done : verdict(result.graph);
}

function flagOfNoList(what: string): UsageError {
  return new UsageError({
    code: 'needs_prompts',
    message: `${what} a list of prompts, and none is given`,
    hint: 'Give the list with --prompts FILE.',
  });
}

/** A list contains its own prompts and names. */
function refuseWithPrompts(argument: string | undefined, options: AttributeOptions): void {
  const given = Object.entries({
    'a prompt': argument,
    '--prompt-file': options.promptFile,
    '--tokens': options.tokens,
    '--slug': options.slug,
  }).filter(([, value]) => value !== undefined);
  if (given.length === 0) return;
  throw new UsageError({
    code: 'prompts_and_prompt',
    message: `--prompts contains prompts and slugs of its own; found ${given.map(([name]) => name).join(' and ')} beside it`,
    hint: 'Leave out one or the other.',
  });
}
