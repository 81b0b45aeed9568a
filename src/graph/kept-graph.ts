/** Graph, pruning: what pruning leaves, to be kept in place of the whole graph. */
import type { Graph } from './graph.ts';
import type { PrunedGraph } from './prune.ts';
import type { GraphScores } from './scores.ts';
import { graphOfPruned } from './subgraph.ts';

/** The graph of what pruning kept, with the scores of the whole graph, which cannot be found in what is left. */
export function keptGraph(pruned: PrunedGraph, scores: GraphScores): Graph {
  const graph = graphOfPruned(pruned);
  return { ...graph, provenance: { ...graph.provenance, scores } };
}
