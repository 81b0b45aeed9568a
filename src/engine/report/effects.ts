/** Engine, `report`: what switching each box off does, as the graph predicts it and as the model does it. */
import type { GraphNodes } from '../../graph/graph.ts';
import { withMatrix, type LinkedGraph } from '../../graph/links.ts';
import type { PaperEffect, PaperEffects } from '../../paper/paper.ts';
import type { Session } from '../session.ts';
import { predictAblations } from '../validate/prediction.ts';
import { rankCorrelation } from '../validate/rank.ts';
import { measure, notMeasured, type Removal } from './measure.ts';
import { featuresAmong, type CircuitBox } from './members.ts';
import type { OpenedGraph } from './open.ts';
import type { ReportRequest } from './types.ts';

/** Targets that effects are given for: the most probable, and others of at least a tenth of its probability. */
const MOST_TARGETS = 3;
const LEAST_SHARE = 0.1;

/** Predicts from the graph, and measures where the model is at hand; why not is part of the result. Errors as `openSession`. */
export async function effectsOf(
  request: ReportRequest,
  opened: OpenedGraph,
  boxes: readonly CircuitBox[],
  held?: Session,
): Promise<PaperEffects> {
  const { graph } = opened.pruned;
  const targets = shownTargets(graph);
  const removals = removalsOf(graph, boxes);
  const not_predicted = whyNotPredicted(opened);
  const predicted = not_predicted === null ? predictedEffects(graph, removals, targets) : null;
  const measured =
    removals.length === 0
      ? notMeasured('the circuit has no features')
      : await measure(request, opened, targets, removals, held);
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

function predictedEffects(graph: LinkedGraph, removals: readonly Removal[], targets: readonly number[]) {
  const whole = withMatrix(graph);
  const logits = targets.map((logit) => graph.layout.logits.start + logit);
  return removals.map(({ nodes }) => predictAblations(whole, nodes, logits));
}

/** Logits of a graph, the most probable first, as the page lists them. */
export function targetOrder({ logit_probabilities }: GraphNodes): number[] {
  return [...logit_probabilities.keys()].sort(
    (a, b) => logit_probabilities[b]! - logit_probabilities[a]! || a - b,
  );
}

function shownTargets(graph: GraphNodes): number[] {
  const { logit_probabilities } = graph;
  const order = targetOrder(graph);
  const most = logit_probabilities[order[0]!]!;
  return order.filter((logit) => logit_probabilities[logit]! >= LEAST_SHARE * most).slice(0, MOST_TARGETS);
}

function removalsOf(graph: GraphNodes, boxes: readonly CircuitBox[]): Removal[] {
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
