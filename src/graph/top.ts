/** Graph, analysis: the features of most influence. */

import type { Graph } from './graph.ts';
import { nodeResult, type NodeResult } from './nodes.ts';
import { cumulativeShares } from './share.ts';

export interface TopFeature extends NodeResult {
  /** Share of the influence of all nodes that this one and all more important ones hold. */
  readonly cumulative_share: number;
}

/** The `count` selected features of most influence, best first; among equals the lower layer. */
export function topFeatures(graph: Graph, count: number): TopFeature[] {
  const influence = Float64Array.from(graph.node_influence);
  const shares = cumulativeShares(influence);
  return Array.from({ length: graph.layout.n_features }, (_, node) => node)
    .sort((a, b) => influence[b]! - influence[a]! || a - b)
    .slice(0, count)
    .map((node) => ({ ...nodeResult(graph, node), cumulative_share: shares[node]! }));
}
