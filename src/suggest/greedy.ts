/** Suggest, step 4: features chosen for the score alone, one after the other, to compare a suggested circuit with. */
import type { Graph } from '../graph/graph.ts';
import { graphScores, type GraphScores } from '../graph/scores.ts';
import { graphOfPinned } from '../graph/subgraph.ts';

/**
 * Scores of `count` features of `small`, each the one that adds most completeness to those before it; among equals the
 * lower index.
 */
export function greedyScores(small: Graph, count: number): GraphScores {
  const scoresOf = (nodes: readonly number[]): GraphScores =>
    graphScores(graphOfPinned(small, Int32Array.from(nodes).sort()));
  const left = new Set(Array.from({ length: small.layout.n_features }, (_, node) => node));
  const taken: number[] = [];
  let scores = scoresOf(taken);
  while (taken.length < count && left.size > 0) {
    let best: { node: number; scores: GraphScores } | null = null;
    for (const node of left) {
      const tried = scoresOf([...taken, node]);
      if (best === null || tried.completeness > best.scores.completeness) best = { node, scores: tried };
    }
    taken.push(best!.node);
    left.delete(best!.node);
    scores = best!.scores;
  }
  return scores;
}
