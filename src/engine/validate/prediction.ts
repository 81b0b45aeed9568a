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
  const { n_features } = graph.layout;
  /** Change of each feature's activation as a share of it. */
  const shares = new Float64Array(n_features);
  shares[ablated] = -1;
  // Selected features are sorted by layer, and every edge leads to a higher one: one pass over them is enough.
  for (let node = ablated + 1; node < n_features; node++) {
    const change = received(rowOf(graph, node)!, shares, ablated, node);
    if (change !== 0) shares[node] = change / featureOf(graph, node).activation;
  }
  const row = rowOf(graph, target)!;
  return { direct: -row[ablated]!, total: received(row, shares, ablated, n_features) };
}

/** Effect of sources in [start, stop) on the target of a row. */
function received(row: Float32Array, shares: Float64Array, start: number, stop: number): number {
  let sum = 0;
  for (let source = start; source < stop; source++) sum += row[source]! * shares[source]!;
  return sum;
}
