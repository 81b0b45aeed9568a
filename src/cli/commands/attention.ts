/** `tracer attention PROMPT`: why heads look where they look, and which heads carry an edge. */
import { Option, type Command } from 'commander';
import type { Grouping } from '../../attention/source-list.ts';
import { ATTENTION_DEFAULTS, type AttentionInput } from '../../engine/attention/types.ts';
import { ATTRIBUTE_DEFAULTS } from '../../engine/attribute/types.ts';
import { UsageError } from '../../errors.ts';
import type { Settings } from '../../settings/resolve.ts';
import type { ChatFlags } from '../chat.ts';
import { perform, type Answer, type CommandContext } from '../perform.ts';
import { readPrompt, withPromptFlags } from '../prompt.ts';
import type { Shell } from '../shell.ts';
import { typed } from '../typed.ts';
import { readTargets, withTargetFlags, type TargetFlags } from '../targets.ts';
import { contrast, headName, outputName, probability, signedNumber, wholeNumber } from '../values.ts';

interface AttentionOptions extends TargetFlags, ChatFlags {
  readonly promptFile?: string;
  readonly tokens?: number[];
  readonly targetPosition?: number;
  readonly graph?: string;
  readonly head?: { readonly layer: number; readonly head: number };
  readonly query?: number;
  readonly key?: number;
  readonly against?: 'mean' | 'pattern' | number;
  readonly by?: Grouping;
  readonly matrix?: boolean;
  readonly edge?: string[];
  readonly heads?: boolean;
  readonly nodeThreshold?: number;
  readonly edgeThreshold?: number;
  readonly features?: string;
  readonly top: number;
  readonly output?: string;
}

const HELP = `
Examples:
  $ tracer attention "The capital of the state containing Dallas is"
  $ tracer attention "The capital of the state containing Dallas is" --head 3.1 --key 7 --against mean
  $ tracer attention "The capital of the state containing Dallas is" --edge ' Dallas' ' Austin'
  $ tracer attention --graph dallas.safetensors --heads

Without --head, --edge or --heads: heads by their effect on the first logit.
Nodes are named as in \`tracer graph\`: ids, strings of tokens and logits, LAYER:POSITION:FEATURE.
Positions are counted from 0, negative ones from the end.
Attention patterns and the divisors of norms are those of the prompt; sums are exact in this model.`;

export function addAttention(program: Command, shell: Shell): void {
  const command = withTargetFlags(
    withPromptFlags(
      program.command('attention').description('explain where heads look, and which heads carry an edge'),
    ),
  )
    .option('--graph <file>', 'take model, set, tokens and targets from a graph file')
    .option('--head <head>', 'why this head looks where it looks: LAYER.HEAD', headName('--head'))
    .option('--query <pos>', 'position that looks (default: the last)', signedNumber('--query'))
    .option('--key <pos>', 'position looked at (default: the one looked at most)', signedNumber('--key'))
    .option(
      '--against <what>',
      'why rather than elsewhere: mean, pattern, or another key',
      contrast('--against'),
    )
    .addOption(
      new Option('--by <group>', 'a table of sources summed in groups').choices(['layer', 'position']),
    )
    .option('--matrix', 'write the matrix of all pairs into the file of --output too')
    .option('--edge <nodes...>', 'heads that carry the edge from SOURCE to TARGET (repeatable)')
    .option('--heads', "share of a graph's influence through each head; needs --graph")
    .option(
      '--node-threshold <p>',
      `share of influence kept of the graph, with --heads (default: ${ATTRIBUTE_DEFAULTS.nodeThreshold})`,
      probability('--node-threshold'),
    )
    .option(
      '--edge-threshold <p>',
      `share of edge scores kept, with --heads (default: ${ATTRIBUTE_DEFAULTS.edgeThreshold})`,
      probability('--edge-threshold'),
    )
    .option('--features <dir>', "feature pages whose labels are shown, before the set's own")
    .option('--top <k>', 'entries of lists', wholeNumber('--top', 1), ATTENTION_DEFAULTS.top)
    .option(
      '--output <file>',
      'write all numbers (safetensors); with --heads the graph and its loadings',
      outputName('--output'),
    )
    .addHelpText('after', HELP);
  command.action((argument: string | undefined, options: AttentionOptions) =>
    perform(shell, command, async (context) => {
      checkTogether(options);
      const request = await requestOf(argument, options, context, shell);
      if (options.head) return await explainHead(request, options, options.head);
      if (options.edge) return await followEdges(request, edgesOf(options.edge));
      return options.heads ? await summarize(request, options) : await listHeads(request);
    }),
  );
}

async function requestOf(
  argument: string | undefined,
  options: AttentionOptions,
  { common, settings }: CommandContext,
  shell: Shell,
): Promise<AttentionInput> {
  const { graph, targetPosition, features, top, output } = options;
  const shared = { targetPosition, features, top, output };
  if (graph === undefined) {
    const input = await readPrompt({ argument, ...options }, shell.host.stdin, shell.signal);
    return { ...common, ...shared, input, targets: await readTargets(options) };
  }
  refuseWithGraph(argument, options);
  return { ...common, ...shared, ...typedNames(settings), graph };
}

/** The model that a graph names takes precedence over settings. */
function typedNames({ model, transcoders }: Settings): Pick<AttentionInput, 'model' | 'transcoders'> {
  return { model: typed(model), transcoders: typed(transcoders) };
}

async function explainHead(
  request: AttentionInput,
  { query, key, against, by, matrix }: AttentionOptions,
  place: { readonly layer: number; readonly head: number },
): Promise<Answer> {
  const [{ attentionHead }, { headView }] = await Promise.all([
    import('../../engine/attention/head.ts'),
    import('../../report/attention-view.ts'),
  ]);
  const result = await attentionHead({ ...request, ...place, query, key, against, by, matrix });
  return { data: result, view: (screen) => headView(result, screen) };
}

async function followEdges(
  request: AttentionInput,
  edges: readonly (readonly [string, string])[],
): Promise<Answer> {
  const [{ attentionEdges }, { edgesView }] = await Promise.all([
    import('../../engine/attention/edges.ts'),
    import('../../report/attention-view.ts'),
  ]);
  const result = await attentionEdges({ ...request, edges });
  return { data: result, view: (screen) => edgesView(result, screen) };
}

async function listHeads(request: AttentionInput): Promise<Answer> {
  const [{ attentionHeads }, { headsView }] = await Promise.all([
    import('../../engine/attention/heads.ts'),
    import('../../report/attention-view.ts'),
  ]);
  const result = await attentionHeads(request);
  return { data: result, view: (screen) => headsView(result, screen) };
}

async function summarize(
  request: AttentionInput,
  { nodeThreshold, edgeThreshold }: AttentionOptions,
): Promise<Answer> {
  const [{ attentionSummary }, { summaryView }] = await Promise.all([
    import('../../engine/attention/heads.ts'),
    import('../../report/attention-view.ts'),
  ]);
  const result = await attentionSummary({ ...request, nodeThreshold, edgeThreshold });
  return { data: result, view: (screen) => summaryView(result, screen) };
}

/** Names come in pairs: `--edge A B --edge C D`. */
function edgesOf(names: readonly string[]): (readonly [string, string])[] {
  if (names.length % 2 === 0)
    return Array.from({ length: names.length / 2 }, (_, i) => [names[2 * i]!, names[2 * i + 1]!] as const);
  throw new UsageError({
    code: 'bad_value',
    message: `--edge: expected pairs of nodes, SOURCE TARGET, found ${names.length} names: ${names.map((name) => JSON.stringify(name)).join(', ')}`,
    hint: 'Put the prompt in front of --edge, and write --edge once for each edge.',
  });
}

/** Each question has its own flags; flags that it would ignore are refused. */
function checkTogether(options: AttentionOptions): void {
  const { head, edge, heads } = options;
  const given = (names: Readonly<Record<string, unknown>>): string[] =>
    Object.entries(names).flatMap(([name, value]) => (value === undefined ? [] : [name]));
  const questions = given({ '--head': head, '--edge': edge, '--heads': heads });
  if (questions.length > 1) {
    throw new UsageError({
      code: 'flags_exclude_each_other',
      message: `${questions[0]} cannot be combined with ${questions.slice(1).join(', ')}`,
      hint: 'Ask one question at a time.',
    });
  }
  const { query, key, against, by, matrix, nodeThreshold, edgeThreshold } = options;
  const ofHead = given({
    '--query': query,
    '--key': key,
    '--against': against,
    '--by': by,
    '--matrix': matrix,
  });
  const ofHeads = given({ '--node-threshold': nodeThreshold, '--edge-threshold': edgeThreshold });
  if (!head) refuse(ofHead, '--head');
  if (!heads) refuse(ofHeads, '--heads');
  if (heads && options.graph === undefined) {
    throw new UsageError({
      code: 'missing_graph',
      message: '--heads measures the links of a graph, which is missing',
      hint: 'Give --graph FILE, made with `tracer attribute PROMPT --output FILE`.',
    });
  }
}

function refuse(flags: readonly string[], needed: string): void {
  if (flags.length === 0) return;
  throw new UsageError({
    code: 'flag_without_question',
    message: `${flags.join(', ')} belongs to ${needed}, which is missing`,
    hint: `Add ${needed}, or leave it out.`,
  });
}

function refuseWithGraph(argument: string | undefined, options: AttentionOptions): void {
  const others = Object.entries({
    'a prompt': argument,
    '--prompt-file': options.promptFile,
    '--tokens': options.tokens,
    '--chat': options.chat,
    '--target-position': options.targetPosition,
    '--target-tokens': options.targetTokens,
    '--target-strings': options.targetStrings,
    '--targets': options.targets,
    '--target-difference': options.targetDifference,
  }).flatMap(([name, value]) => (value === undefined ? [] : [name]));
  if (others.length === 0) return;
  throw new UsageError({
    code: 'prompt_and_graph',
    message: `--graph names a graph, whose tokens and targets are taken; found ${others.join(' and ')} beside it`,
    hint: 'Leave out one or the other.',
  });
}
