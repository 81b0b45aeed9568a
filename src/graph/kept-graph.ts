/** Graph, pruning: what pruning leaves, to be kept in place of the whole graph. */
import type { Graph } from './graph.ts';
import type { PrunedGraph } from './prune.ts';
import type { GraphScores } from './scores.ts';
import { graphOfPruned } from './subgraph.ts';

/**
 * The graph of what pruning kept. The scores are those of the whole graph, and so is each node's influence: neither can be found
 * in what is left.
 */
export function keptGraph(pruned: PrunedGraph, scores: GraphScores): Graph {
  const { layout, node_influence: influence } = pruned.graph;
  const graph = graphOfPruned(pruned);
  const node_influence = influence.filter(
    (_, node) => node >= layout.n_features || pruned.nodeMask[node] === 1,
  );
  return { ...graph, node_influence, provenance: { ...graph.provenance, scores } };
}
