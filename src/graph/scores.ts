/** Graph, scores: how much of the computation its features explain, and how much error nodes do. */

import { outputInfluence, spreadInfluence } from './influence.ts';
import type { LinkedGraph, LinkRows } from './links.ts';
import type { NodeRange } from './node-layout.ts';
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
  const fromErrors = new Float64Array(layout.n_rows);
  const { influence, rowSums } = spreadInfluence(graph, undefined, (row, links, n) => {
    fromErrors[row] = sumFrom(layout.errors, links, n);
  });
  const tokens = sum(influence, layout.tokens);
  const errors = sum(influence, layout.errors);

  let output = errors + tokens; // nodes without a row: complete
  let complete = output;
  for (let row = 0; row < layout.n_rows; row++) {
    const passedOn = outputInfluence(graph, influence, row);
    if (passedOn === 0) continue;
    output += passedOn;
    complete += passedOn * (1 - fromErrors[row]! / rowSums[row]!);
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

/** Sum of the absolute weights of a row's links from errors or tokens, which come last. */
function sumFrom({ start, stop }: NodeRange, { sources, weights }: LinkRows, n: number): number {
  let i = n;
  while (i > 0 && sources[i - 1]! >= start) i--;
  let total = 0;
  for (; i < n && sources[i]! < stop; i++) total += Math.abs(weights[sources[i]!]!);
  return total;
}

function sum(values: Float64Array, { start, stop }: NodeRange): number {
  return values.subarray(start, stop).reduce((total, value) => total + value, 0);
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}
