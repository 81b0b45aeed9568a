/** Graph, scores: how much of the computation its features explain, and how much error nodes do. */

import { absoluteSum, outputInfluence, spreadInfluence } from './influence.ts';
import { linkRows, type LinkedGraph } from './links.ts';
import { linksOfPinned } from './subgraph.ts';

export interface GraphScores {
  /** Share of the influence arriving at tokens and errors that arrives at tokens, 0 to 1. */
  readonly replacement: number;
  /** Share of inputs that come from features and tokens, over all nodes, weighted by their influence, 0 to 1. */
  readonly completeness: number;
}

/**
 * Scores of the unpruned graph; a graph that was pruned says what they were. A node without inputs counts as complete. Both are 0 when no logit has any weight or
 * nothing reaches a token or an error.
 */
export function graphScores(graph: LinkedGraph): GraphScores {
  if (graph.provenance.scores) return graph.provenance.scores;
  const { layout } = graph;
  const { influence, rowSums } = spreadInfluence(graph);
  const tokens = sum(influence, layout.tokens);
  const errors = sum(influence, layout.errors);

  let output = errors + tokens; // nodes without a row: complete
  let complete = output;
  const errorLinks = linkRows(graph, layout.maskOf(layout.errors));
  for (let row = 0; row < layout.n_rows; row++) {
    const passedOn = outputInfluence(graph, influence, row);
    if (passedOn === 0) continue;
    const fromErrors = absoluteSum(errorLinks, errorLinks.read(row));
    output += passedOn;
    complete += passedOn * (1 - fromErrors / rowSums[row]!);
  }
  return { replacement: ratio(tokens, tokens + errors), completeness: ratio(complete, output) };
}

/**
 * Scores of a subgraph: features that are not pinned count as reconstruction error of their layer and position
 * (`graphOfPinned`; the same rule as circuit-tracer's and Neuronpedia's subgraph scores, on the unpruned graph). So all
 * features pinned gives the scores of the graph itself, and none pinned those of tokens without features.
 *
 * @param pinned node indices; tokens, errors and logits among them have no effect, they are always kept.
 */
export function subgraphScores(graph: LinkedGraph, pinned: Iterable<number>): GraphScores {
  const features = [...new Set(pinned)].filter((node) => node < graph.layout.n_features);
  return graphScores(linksOfPinned(graph, Int32Array.from(features).sort()));
}

function sum(values: Float64Array, { start, stop }: { start: number; stop: number }): number {
  return values.subarray(start, stop).reduce((total, value) => total + value, 0);
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}
