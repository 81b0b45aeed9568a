/** Engine, `graph validate`: the change of a logit that a graph predicts for switching a feature off. */
import { featureOf, rowOf, type Graph } from '../../graph/graph.ts';

/** Changes of a logit target, before the cap, relative to the mean over the vocabulary (what an edge to it measures). */
export interface Prediction {
  /** Minus the edge from the feature to the logit. */
  readonly direct: number;
  /** Also along every path through other features of the graph. */
  readonly total: number;
}

/**
 * Switching a feature off removes what it writes: −1 times its column of the edges. Each feature it reaches then changes its
 * pre-activation by so much, and with it, in proportion, what that feature writes; and so on to the logit. Features stay on
 * the side of their threshold where they are, errors stay constant.
 * @param target node of a logit
 */
export function predictAblation(graph: Graph, ablated: number, target: number): Prediction {
  return predictAblations(graph, [ablated], [target])[0]!;
}

/**
 * As `predictAblation`, for several features that are switched off together and several targets: a feature that is switched off loses
 * nothing more by what the others no longer write.
 */
export function predictAblations(
  graph: Graph,
  ablated: readonly number[],
  targets: readonly number[],
): Prediction[] {
  const { n_features } = graph.layout;
  /** Change of each feature's activation as a share of it. */
  const shares = new Float64Array(n_features);
  for (const node of ablated) shares[node] = -1;
  const off = new Set(ablated);
  const first = ablated.reduce((least, node) => Math.min(least, node), n_features);
  // Selected features are sorted by layer, and every edge leads to a higher one: one pass over them is enough.
  for (let node = first + 1; node < n_features; node++) {
    if (off.has(node)) continue;
    const change = received(rowOf(graph, node)!, shares, first, node);
    if (change !== 0) shares[node] = change / featureOf(graph, node).activation;
  }
  return targets.map((target) => {
    const row = rowOf(graph, target)!;
    return {
      direct: ablated.reduce((sum, node) => sum - row[node]!, 0),
      total: received(row, shares, first, n_features),
    };
  });
}

/** Effect of sources in [start, stop) on the target of a row. */
function received(row: Float32Array, shares: Float64Array, start: number, stop: number): number {
  let sum = 0;
  for (let source = start; source < stop; source++) sum += row[source]! * shares[source]!;
  return sum;
}
