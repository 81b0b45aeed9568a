/** Engine, verb `attention`: what all its questions start from: a session, the tokens, their traced prompt, targets, names. */
import { TracedPrompt } from '../../attention/traced-prompt.ts';
import { chooseTargets, type TargetChoice, type Targets } from '../../attribution/targets.ts';
import { readGraph } from '../../graph/files.ts';
import { FEATURE_FIELDS, type Graph } from '../../graph/graph.ts';
import { NodeLayout } from '../../graph/node-layout.ts';
import { UsageError } from '../../errors.ts';
import { checkTokens } from '../../model/check-tokens.ts';
import { targetsOf, tokensOf } from '../attribute/trace.ts';
import { chatResult, inTemplate, noteChat, type ReadInput } from '../chat.ts';
import type { ActiveFeatures } from '../../replacement/replacement-model.ts';
import { openFeatureSource } from '../features/source.ts';
import { checkFits, graphSubject, ignoredPositions } from '../graph-subject.ts';
import { graphProvenance } from '../provenance.ts';
import { openSession, type Session } from '../session.ts';
import { peakRssBytes, Stopwatch } from '../stopwatch.ts';
import type { SavedFileResult } from '../result.ts';
import type { AttentionComputed, AttentionInput } from './types.ts';

/** Share of a graph's features that rounding may have switched off on another device. */
const MOST_MISSING = 0.01;

/** Dispose it, or take it with `using`. */
export interface TracedSubject extends Disposable {
  readonly session: Session;
  readonly tokens: readonly number[];
  readonly prompt: TracedPrompt;
  readonly targets: Targets;
  /** The file that was named, as it was read. */
  readonly graph: Graph | null;
  /** Of each selected feature of the graph its index among the active ones of the pass; -1 where it is not active in it. */
  readonly selected: Int32Array | null;
  /** All active features, errors, tokens and targets as nodes, without edges: node and source indices agree. */
  readonly nodes: Graph;
  readonly stopwatch: Stopwatch;
  /** By `LAYER_FEATURE`. */
  readonly labels: (
    features: Iterable<readonly [layer: number, feature: number]>,
  ) => Promise<Record<string, string>>;
  /** What every result has. */
  readonly described: (files: readonly SavedFileResult[]) => AttentionComputed;
}

/** A session for a request, which names a prompt or a graph. Throws `UsageError` for both, or neither. */
export async function openAttention(request: AttentionInput): Promise<{ session: Session; graph?: Graph }> {
  checkSubject(request);
  if (request.graph !== undefined) {
    const graph = await readGraph(request.graph);
    const options = { n_ignored: ignoredPositions(graph) };
    return { session: await openSession(graphSubject(graph, request), options), graph };
  }
  const session = await openSession(request, {
    check: async ({ prompts, config, files }) => {
      const input = await inTemplate(request.input!, files, prompts.tokenizer);
      checkTokens(tokensOf(input, prompts, request.targetPosition), config);
    },
  });
  return { session };
}

function checkSubject({ input, graph }: AttentionInput): void {
  if ((input === undefined) !== (graph === undefined)) return;
  throw new UsageError(
    input === undefined
      ? {
          code: 'missing_prompt',
          message: 'a prompt is missing',
          hint: 'Give one in quotes, or --graph FILE.',
        }
      : {
          code: 'prompt_and_graph',
          message: '--graph names a graph, whose tokens are taken; found a prompt beside it',
          hint: 'Leave out one or the other.',
        },
  );
}

/** @param scoresOf layers whose scores are asked for */
export async function traceSubject(
  session: Session,
  request: AttentionInput,
  scoresOf: readonly number[],
  given?: Graph,
): Promise<TracedSubject> {
  checkSubject(request);
  const { replacement, tokenizer } = session;
  const { signal, onProgress } = request;
  const stopwatch = new Stopwatch();
  const graph = given ?? (request.graph === undefined ? null : await readGraph(request.graph));
  if (graph) checkFits(session, graph);
  const input: ReadInput = graph
    ? { tokens: Array.from(graph.input_tokens) }
    : await inTemplate(request.input!, session.subject.model.files, tokenizer);
  const tokens = graph
    ? Array.from(graph.input_tokens)
    : tokensOf(input, session.prompts, request.targetPosition);
  noteChat(input, tokens, tokenizer, onProgress);
  onProgress?.({ kind: 'progress', phase: 'forward', message: `Running ${tokens.length} tokens` });
  const prompt = await stopwatch.time('forward', () =>
    TracedPrompt.of(replacement, tokens, { scoresOf, signal }),
  );
  try {
    const logits = await prompt.pass.lastLogits();
    await session.checkFinite(logits, 'the logits');
    const choice = choiceOf(request, graph, replacement.model.config.d_vocab);
    const targets = await chooseTargets(choice, logits, replacement, tokenizer);
    const source = await openFeatureSource({
      ...request,
      folder: request.features,
      scan: session.scan,
      set: session.subject.transcoders.source,
    });
    const provenance = await graphProvenance(session, { input, tokens }, targets.labels, choice, {});
    return {
      session,
      tokens,
      prompt,
      targets,
      graph,
      selected: graph && selectedIn(graph, prompt.pass.features),
      nodes: nodesOf(prompt, targets, provenance),
      stopwatch,
      labels: (features) => source.labels(features),
      described: (files) => ({
        ...session.description,
        ...chatResult(input),
        graph: request.graph ?? null,
        tokens: tokens.map((id, position) => ({
          position,
          id,
          text: provenance.token_strings[position]!,
        })),
        files,
        timings_ms: { ...session.stopwatch.timings_ms, ...stopwatch.timings_ms },
        peak_rss_bytes: peakRssBytes(),
      }),
      [Symbol.dispose]() {
        targets[Symbol.dispose]();
        prompt[Symbol.dispose]();
      },
    };
  } catch (error) {
    prompt[Symbol.dispose]();
    throw error;
  }
}

/** Targets of a graph are its own. Throws `UsageError` for directions, whose vectors a graph file does not have. */
function choiceOf(request: AttentionInput, graph: Graph | null, d_vocab: number): TargetChoice {
  if (!graph) return targetsOf(request);
  const ids = Array.from(graph.logit_token_ids);
  if (ids.every((id) => id < d_vocab)) return { kind: 'tokens', ids };
  throw new UsageError({
    code: 'custom_target',
    message: 'a target of the graph is a direction and no token: its vector is not in the graph file',
    hint: 'Give the prompt with --targets or --target-difference instead of --graph.',
  });
}

/** Throws `UsageError` when features of the graph are not active here: then it was made with another model or set. */
function selectedIn(graph: Graph, { indices }: ActiveFeatures): Int32Array {
  const at = (from: Int32Array, feature: number): string =>
    from.subarray(FEATURE_FIELDS * feature, FEATURE_FIELDS * (feature + 1)).join();
  const places = new Map<string, number>();
  for (let feature = 0; feature * FEATURE_FIELDS < indices.length; feature++)
    places.set(at(indices, feature), feature);
  const found = graph.selected_features.map(
    (feature) => places.get(at(graph.active_features, feature)) ?? -1,
  );
  const missing = found.reduce((count, feature) => count + (feature < 0 ? 1 : 0), 0);
  if (missing <= MOST_MISSING * found.length) return found;
  throw new UsageError({
    code: 'other_model',
    message: `${missing} of the ${found.length} features of the graph are not active in this model and set`,
    hint: 'Name the model and the set that the graph was made with: --model, --transcoders.',
  });
}

function nodesOf({ pass, list }: TracedPrompt, targets: Targets, provenance: Graph['provenance']): Graph {
  const { indices, values } = pass.features;
  const layout = new NodeLayout({
    n_features: indices.length / FEATURE_FIELDS,
    n_layers: list.n_layers,
    n_pos: list.n_pos,
    n_logits: targets.ids.length,
  });
  return {
    layout,
    edges: new Float32Array(0),
    active_features: indices,
    activation_values: values,
    selected_features: Int32Array.from(values.keys()),
    input_tokens: Int32Array.from(pass.tokens),
    logit_token_ids: Int32Array.from(targets.ids),
    logit_probabilities: targets.probabilities,
    node_influence: new Float32Array(layout.n_nodes),
    provenance,
  };
}
