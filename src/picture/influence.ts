/** Picture: the influence of each link of a pruned graph, defined as in `graph/influence.ts`. */

import type { PictureGraph, PictureNode } from './picture-graph.ts';

export type Inputs = Pick<
  PictureGraph,
  'source' | 'target' | 'weight' | 'inputSum' | 'inputStart' | 'inputLinks'
>;

/** Of each link: its share among the inputs of its target, times the influence of the target. */
export function linkInfluence(nodes: readonly PictureNode[], inputs: Inputs): Float64Array {
  const { source, weight, inputSum, inputStart, inputLinks } = inputs;
  const mass = Float64Array.from(nodes, ({ probability }) => probability ?? 0);
  const passed = new Float64Array(weight.length);
  for (const node of topDown(nodes)) {
    if (mass[node] === 0 || inputSum[node] === 0) continue;
    const scale = mass[node]! / inputSum[node]!;
    for (let i = inputStart[node]!; i < inputStart[node + 1]!; i++) {
      const link = inputLinks[i]!;
      if (!leadsUp(nodes[source[link]!]!, nodes[node]!)) continue;
      passed[link] = Math.abs(weight[link]!) * scale;
      mass[source[link]!]! += passed[link];
    }
  }
  return passed;
}

/**
 * Whether influence is passed along a link. Links of features to their own row or below would make cycles, so they are left out;
 * errors and tokens have no inputs.
 */
export function leadsUp(source: PictureNode, target: PictureNode): boolean {
  return source.row < target.row || source.kind === 'error' || source.kind === 'embedding';
}

/** Node indices from the highest row to the lowest: a node receives from higher rows only. */
export function topDown(nodes: readonly PictureNode[]): Int32Array {
  return Int32Array.from(nodes.keys()).sort((a, b) => nodes[b]!.row - nodes[a]!.row);
}

/**
 * For each value, the share of the total that larger values hold. A value is kept at a threshold if that share is smaller than the
 * threshold; equal values have equal shares.
 */
export function shareBefore(values: Float64Array): Float64Array {
  const order = Int32Array.from(values.keys()).sort((a, b) => values[b]! - values[a]!);
  const total = values.reduce((sum, value) => sum + value, 0);
  const before = new Float64Array(values.length);
  let sum = 0;
  let sumOfLarger = 0;
  for (let i = 0; i < order.length; i++) {
    if (i > 0 && values[order[i]!]! < values[order[i - 1]!]!) sumOfLarger = sum;
    before[order[i]!] = total === 0 ? 0 : sumOfLarger / total;
    sum += values[order[i]!]!;
  }
  return before;
}
