/** Engine, verb `graph validate`: features of a graph are switched off in the model, one by one, and compared with the graph. */
import { UsageError } from '../../errors.ts';
import { readGraph } from '../../graph/files.ts';
import type { Graph } from '../../graph/graph.ts';
import { selectNodes } from '../../graph/select.ts';
import { topFeatures, type TopFeature } from '../../graph/top.ts';
import { originalPass } from '../../intervention/intervene.ts';
import { Freeze } from '../../intervention/freeze.ts';
import { softmax } from '../../model/logits.ts';
import type { HookName } from '../../model/hooks.ts';
import type { ForwardResult } from '../../model/transformer.ts';
import { frozenResult } from '../intervene/prepare.ts';
import { checkFits, graphSubject, ignoredPositions } from '../graph-subject.ts';
import { openSession, type Session } from '../session.ts';
import { peakRssBytes } from '../stopwatch.ts';
import { refuseStudy } from './held-out.ts';
import { predictAblation } from './prediction.ts';
import { rankCorrelation } from './rank.ts';
import { passWithout } from './switch-off.ts';
import {
  VALIDATE_DEFAULTS,
  type ValidatedFeature,
  type ValidateRequest,
  type ValidateResult,
} from './types.ts';

/** Logits before the cap: what edges to logits are about. */
export const BEFORE_CAP: HookName = 'unembed.hook_post';

/** Loads what the graph names and ablates. Throws what `readGraph` throws, and `UsageError` for a study, and for a graph of another model. */
export async function validate(request: ValidateRequest): Promise<ValidateResult> {
  await refuseStudy(request.file);
  const graph = await readGraph(request.file);
  const target = targetNode(graph, request.target);
  using session = await openSession(graphSubject(graph, request), { n_ignored: ignoredPositions(graph) });
  return await validateIn(session, graph, target, request);
}

/** As `validate`, in a session that is loaded already. @param target node of a logit */
export async function validateIn(
  session: Session,
  graph: Graph,
  target: number,
  request: Omit<ValidateRequest, 'model' | 'transcoders'>,
): Promise<ValidateResult> {
  checkFits(session, graph);
  const { replacement, tokenizer, stopwatch } = session;
  const { n_layers } = replacement.model.config;
  const { signal, onProgress } = request;
  const direct = request.direct ?? false;
  const tokenId = graph.logit_token_ids[target - graph.layout.logits.start]!;
  checkIsToken(tokenId, replacement.model.config.d_vocab);
  const freeze = new Freeze(direct ? { constrainedLayers: { from: 0, to: n_layers } } : {}, n_layers);
  const options = {
    logits: 'last' as const,
    capture: (name: HookName): boolean => name === BEFORE_CAP,
    ...(signal && { signal }),
  };
  const tokens = Array.from(graph.input_tokens);
  const chosen = topFeatures(graph, request.top ?? VALIDATE_DEFAULTS.top);
  const inputLayers = new Set(chosen.map(({ layer }) => layer!));
  using original = await stopwatch.time('original', () =>
    originalPass(replacement, tokens, freeze, { ...options, inputLayers }),
  );
  const before = await readTarget(original, tokenId);
  const features: ValidatedFeature[] = [];
  for (const [done, node] of chosen.entries()) {
    const progress = { kind: 'progress', phase: 'ablate', message: 'Switching features off' } as const;
    onProgress?.({ ...progress, done, total: chosen.length });
    const one = { ...node, layer: node.layer!, feature: node.feature!, activation: node.activation! };
    using changed = await passWithout(session, original, tokens, [one], freeze, {
      ...options,
      inputLayers: [],
    });
    const after = await readTarget(changed, tokenId);
    const prediction = predictAblation(graph, nodeIndex(graph, node), target);
    features.push({
      layer: node.layer!,
      position: node.position,
      token: node.token,
      feature: node.feature!,
      activation: node.activation!,
      influence: node.influence,
      predicted: direct ? prediction.direct : prediction.total,
      predicted_direct: prediction.direct,
      actual: after.centred - before.centred,
      logit_change: after.logit - before.logit,
      probability_change: after.probability - before.probability,
    });
  }
  const of = (field: 'predicted' | 'predicted_direct' | 'actual'): number[] =>
    features.map((feature) => feature[field]);
  return {
    ...session.description,
    ...frozenResult(freeze),
    file: request.file,
    prompt: graph.provenance.prompt,
    target: { token_id: tokenId, text: tokenizer.tokenStrings([tokenId])[0]! },
    direct,
    features,
    rank_correlation: rankCorrelation(of('predicted'), of('actual')),
    rank_correlation_direct: rankCorrelation(of('predicted_direct'), of('actual')),
    largest_error: features.reduce(
      (largest, { predicted, actual }) => Math.max(largest, Math.abs(predicted - actual)),
      0,
    ),
    timings_ms: stopwatch.timings_ms,
    peak_rss_bytes: peakRssBytes(),
  };
}

/** The logit node that a text names. Throws `UsageError` when it names none, or several. */
export function targetNode(graph: Graph, text: string | undefined): number {
  if (text === undefined) return graph.layout.logits.start;
  const nodes = selectNodes(graph, text, 'target').filter((node) => node >= graph.layout.logits.start);
  if (nodes.length === 1) return nodes[0]!;
  throw new UsageError({
    code: 'unknown_target',
    message: `--target: ${JSON.stringify(text)} names ${nodes.length} logits of this graph, one is expected`,
    hint: `Its logits are ${graph.provenance.logit_labels.map((label) => JSON.stringify(label)).join(', ')}.`,
  });
}

function nodeIndex(graph: Graph, { id }: TopFeature): number {
  return selectNodes(graph, id)[0]!;
}

/** A target at the last position of a pass. */
export async function readTarget(
  pass: ForwardResult,
  tokenId: number,
): Promise<{ centred: number; logit: number; probability: number }> {
  const z = await pass.activations.get(BEFORE_CAP).data<'float32'>();
  const logits = await pass.lastLogits();
  const mean = z.reduce((sum, value) => sum + value, 0) / z.length;
  return {
    centred: z[tokenId]! - mean,
    logit: logits[tokenId]!,
    probability: softmax(logits)[tokenId]!,
  };
}

export function checkIsToken(tokenId: number, d_vocab: number): void {
  if (tokenId < d_vocab) return;
  throw new UsageError({
    code: 'custom_target',
    message:
      'the target is a direction and no token: its vector is not in the graph file, so it cannot be measured',
    hint: 'Give a token with --target, or trace the prompt with --target-strings.',
  });
}
