/** Study, validation: the change of an answer that a graph predicts for switching several features off. */
import type { KeyedGraph } from './aligned.ts';

/**
 * Change of the first answer's logit, before the cap, relative to the mean over the vocabulary, on the links that pruning left. What is
 * switched off no longer writes; each feature that is left loses what it received from there, and writes less in proportion to its
 * activation; errors stay constant. The rule that `graph validate` has for one feature.
 */
export function predictedChange({ nodes, edges }: KeyedGraph, isOff: (key: string) => boolean): number {
  const answer = nodes.findIndex(({ kind }) => kind === 'logit');
  const received = new Float64Array(nodes.length);
  const inputs = nodes.map((): KeyedGraph['edges'][number][] => []);
  for (const edge of edges) inputs[edge.target]!.push(edge);
  /** Change of each feature's activation as a share of it. */
  const shares = new Float64Array(nodes.length);
  // Features are sorted by layer, and every link leads to a higher one or to an answer.
  for (const [node, { kind, key, activation }] of nodes.entries()) {
    if (kind !== 'feature' && node !== answer) continue;
    for (const { source, weight } of inputs[node]!) received[node]! += shares[source]! * weight;
    if (kind === 'feature') shares[node] = isOff(key) ? -1 : received[node]! / activation;
  }
  return received[answer]!;
}
