/** Engine, `report`: what switching each box off does, as the graph predicts it and as the model does it. */
import { NetworkError, NotFoundError, UsageError, type TracerError } from '../../errors.ts';
import { featureOf, type Graph } from '../../graph/graph.ts';
import { Freeze } from '../../intervention/freeze.ts';
import { originalPass } from '../../intervention/intervene.ts';
import type { HookName } from '../../model/hooks.ts';
import type { ForwardResult } from '../../model/transformer.ts';
import type { PaperEffect, PaperEffects, PaperMeasured, PaperSaid } from '../../paper/paper.ts';
import { checkFits, graphSubject, ignoredPositions } from '../graph-subject.ts';
import { mostLikely } from '../next-tokens.ts';
import { openSession, type Session } from '../session.ts';
import { predictAblations } from '../validate/prediction.ts';
import { rankCorrelation } from '../validate/rank.ts';
import { passWithout, type GraphFeature } from '../validate/switch-off.ts';
import { BEFORE_CAP, readTarget } from '../validate/validate.ts';
import { featuresAmong, type CircuitBox } from './members.ts';
import type { OpenedGraph } from './open.ts';
import type { ReportRequest } from './types.ts';

/** Targets that effects are given for: the most probable, and others of at least a tenth of its probability. */
const MOST_TARGETS = 3;
const LEAST_SHARE = 0.1;

/** The features of a box, or of all of them. */
interface Removal {
  readonly box: number | null;
  readonly nodes: readonly number[];
}

/** Predicts from the graph, and measures where the model is at hand; why not is part of the result. Errors as `openSession`. */
export async function effectsOf(
  request: ReportRequest,
  opened: OpenedGraph,
  boxes: readonly CircuitBox[],
): Promise<PaperEffects> {
  const { graph } = opened.pruned;
  const targets = shownTargets(graph);
  const removals = removalsOf(graph, boxes);
  const not_predicted = whyNotPredicted(opened);
  const predicted =
    not_predicted === null
      ? removals.map(({ nodes }) =>
          predictAblations(
            graph,
            nodes,
            targets.map((logit) => graph.layout.logits.start + logit),
          ),
        )
      : null;
  const measured =
    removals.length === 0
      ? notMeasured('the circuit has no features')
      : await measure(request, opened, targets, removals);
  const isMeasured = measured.state === 'measured';
  const rows = removals.map(({ box, nodes }, i): PaperEffect => {
    const reading = isMeasured ? measured.rows[i]! : null;
    return {
      box,
      n_features: nodes.length,
      changes: targets.map((_, j) => ({
        predicted: predicted?.[i]![j]!.total ?? null,
        measured: reading?.targets[j]?.change ?? null,
        probability: reading?.targets[j]?.probability ?? null,
      })),
      says: reading?.says ?? null,
    };
  });
  return {
    targets: targets.map((_, place) => place),
    not_predicted,
    measured: isMeasured ? measured.summary : measured,
    rows,
    rank_correlation: correlationOf(rows.filter(({ box }) => box !== null)),
  };
}

/** Logits of a graph, the most probable first, as the page lists them. */
export function targetOrder({ logit_probabilities }: Graph): number[] {
  return [...logit_probabilities.keys()].sort(
    (a, b) => logit_probabilities[b]! - logit_probabilities[a]! || a - b,
  );
}

function shownTargets(graph: Graph): number[] {
  const { logit_probabilities } = graph;
  const order = targetOrder(graph);
  const most = logit_probabilities[order[0]!]!;
  return order.filter((logit) => logit_probabilities[logit]! >= LEAST_SHARE * most).slice(0, MOST_TARGETS);
}

function removalsOf(graph: Graph, boxes: readonly CircuitBox[]): Removal[] {
  const single = boxes.flatMap(({ nodes }, box): Removal[] => {
    const features = featuresAmong(graph, nodes);
    return features.length === 0 ? [] : [{ box, nodes: features }];
  });
  if (single.length < 2) return single;
  return [...single, { box: null, nodes: [...new Set(single.flatMap(({ nodes }) => nodes))] }];
}

/** A viewer's file may lack activations, by which changes are passed on. */
function whyNotPredicted({ pruned: { graph }, viewer }: OpenedGraph): string | null {
  if (viewer === undefined || graph.activation_values.every((value) => value !== 0)) return null;
  return 'the file is a viewer’s and lacks activations of features, by which a change is passed on';
}

function correlationOf(rows: readonly PaperEffect[]): number | null {
  const pairs = rows.flatMap(({ changes: [first] }) =>
    first === undefined || first.predicted === null || first.measured === null
      ? []
      : [[first.predicted, first.measured] as const],
  );
  return rankCorrelation(
    pairs.map(([predicted]) => predicted),
    pairs.map(([, measured]) => measured),
  );
}

interface Reading {
  /** Null for a direction. */
  readonly targets: readonly ({ readonly change: number; readonly probability: number } | null)[];
  readonly says: PaperSaid;
}

type Measurement =
  | { readonly state: 'measured'; readonly summary: PaperMeasured; readonly rows: readonly Reading[] }
  | NotMeasured;
interface NotMeasured {
  readonly state: 'not_measured';
  readonly reason: string;
}

function notMeasured(reason: string): NotMeasured {
  return { state: 'not_measured', reason };
}

async function measure(
  request: ReportRequest,
  { pruned: { graph }, viewer }: OpenedGraph,
  targets: readonly number[],
  removals: readonly Removal[],
): Promise<Measurement> {
  if (request.measure === false) return notMeasured('it was asked for without (--no-measure)');
  if (viewer !== undefined) {
    return notMeasured(
      'the file is a viewer’s, which has neither the ids of the tokens nor the files of the model; the graph file has both',
    );
  }
  const isNamed = request.model !== undefined || request.transcoders !== undefined;
  try {
    // What nobody named is not downloaded: the model is at hand or it is not.
    const subject = graphSubject(graph, isNamed ? request : { ...request, offline: true });
    using session = await openSession(subject, { n_ignored: ignoredPositions(graph) });
    checkFits(session, graph);
    return await measureIn(session, request, graph, targets, removals);
  } catch (error) {
    if (isNamed || !isNotAtHand(error)) throw error;
    request.onProgress?.({ kind: 'warning', message: `effects are not measured: ${error.message}` });
    return notMeasured(`the model of the graph is not at hand: ${error.message.replace(/\.$/, '')}`);
  }
}

/** Not there, not to be reached, or another one than the graph's. What is damaged or too large is an error of its own. */
function isNotAtHand(error: unknown): error is TracerError {
  return error instanceof NotFoundError || error instanceof NetworkError || error instanceof UsageError;
}

async function measureIn(
  session: Session,
  { signal, onProgress }: ReportRequest,
  graph: Graph,
  targets: readonly number[],
  removals: readonly Removal[],
): Promise<Measurement> {
  const { replacement, stopwatch, tokenizer } = session;
  const { n_layers, d_vocab } = replacement.model.config;
  const freeze = new Freeze({}, n_layers);
  const options = {
    logits: 'last' as const,
    capture: (name: HookName): boolean => name === BEFORE_CAP,
    ...(signal && { signal }),
  };
  const tokens = Array.from(graph.input_tokens);
  const features = removals.map(({ nodes }) => nodes.map((node) => namedFeature(graph, node)));
  const inputLayers = new Set(features.flat().map(({ layer }) => layer));
  using original = await stopwatch.time('original', () =>
    originalPass(replacement, tokens, freeze, { ...options, inputLayers }),
  );
  const ids = targets.map((logit) => graph.logit_token_ids[logit]!);
  const read = async (pass: ForwardResult) => ({
    targets: await Promise.all(ids.map((id) => (id < d_vocab ? readTarget(pass, id) : null))),
    says: saidBy(await pass.lastLogits()),
  });
  const saidBy = (logits: Float32Array): PaperSaid => {
    const [{ text, probability }] = mostLikely(logits, 1, tokenizer) as [
      ReturnType<typeof mostLikely>[number],
    ];
    return { token: text, probability };
  };
  const before = await read(original);
  const rows: Reading[] = [];
  for (const [done, own] of features.entries()) {
    onProgress?.({
      kind: 'progress',
      phase: 'ablate',
      message: 'Switching boxes off',
      done,
      total: features.length,
    });
    using changed = await passWithout(session, original, tokens, own, freeze, {
      ...options,
      inputLayers: [],
    });
    const after = await read(changed);
    rows.push({
      targets: after.targets.map((value, i) =>
        value === null
          ? null
          : { change: value.centred - before.targets[i]!.centred, probability: value.probability },
      ),
      says: after.says,
    });
  }
  const { model, transcoders, backend, device, dtype } = session.description;
  const probabilities = before.targets.map((value) => value?.probability ?? null);
  return {
    state: 'measured',
    summary: {
      state: 'measured',
      model,
      transcoders,
      backend,
      device,
      dtype,
      says: before.says,
      probabilities,
    },
    rows,
  };
}

function namedFeature(graph: Graph, node: number): GraphFeature {
  const place = featureOf(graph, node);
  return { id: `${place.layer}:${place.position}:${place.feature}`, ...place };
}
