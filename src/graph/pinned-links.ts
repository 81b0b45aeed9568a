/** Graph, links: those of a graph in which only some features are features, worked out from the whole one row by row. */
import { FEATURE_FIELDS } from './graph.ts';
import { linkRows, type LinkedGraph, type LinkRows, type Links } from './links.ts';
import type { NodeLayout } from './node-layout.ts';

export class PinnedLinks implements Links {
  readonly #whole: LinkedGraph;
  readonly #layout: NodeLayout;
  readonly #pinned: Int32Array;
  /** Node of this graph for each node of the whole one. */
  readonly #nodeOf: Int32Array;

  /**
   * @param layout of the graph of the pinned features
   * @param pinned feature nodes of the whole graph, ascending
   */
  constructor(whole: LinkedGraph, layout: NodeLayout, pinned: Int32Array) {
    this.#whole = whole;
    this.#layout = layout;
    this.#pinned = pinned;
    this.#nodeOf = nodesOfPart(whole, layout, pinned);
  }

  rows(kept?: Uint8Array): LinkRows {
    const layout = this.#layout;
    const nodeOf = this.#nodeOf;
    const whole = linkRows(this.#whole, kept && Uint8Array.from(nodeOf, (node) => kept[node]!));
    const { errors } = layout;
    const tokensOfWhole = this.#whole.layout.tokens.start;
    const sources = new Int32Array(layout.n_nodes);
    const weights = new Float32Array(layout.n_nodes);
    const sums = new Float64Array(layout.n_nodes);
    const read = (row: number): number => {
      const count = whole.read(this.#rowOfWhole(row));
      let n = 0;
      let i = 0;
      // Weights are sums, also of one: a zero among them has no sign.
      for (; i < count && whole.sources[i]! < tokensOfWhole; i++) {
        const from = whole.sources[i]!;
        const node = nodeOf[from]!;
        if (node >= errors.start) sums[node]! += whole.weights[from]!;
        else {
          sources[n++] = node;
          weights[node] = 0 + whole.weights[from]!;
        }
      }
      for (let node = errors.start; node < errors.stop; node++) {
        if (sums[node] === 0) continue;
        sources[n++] = node;
        weights[node] = sums[node]!;
      }
      sums.fill(0, errors.start, errors.stop);
      for (; i < count; i++) {
        const from = whole.sources[i]!;
        const node = nodeOf[from]!;
        sources[n++] = node;
        weights[node] = 0 + whole.weights[from]!;
      }
      return n;
    };
    return { sources, weights, read };
  }

  #rowOfWhole(row: number): number {
    const logit = row - this.#layout.n_features;
    return logit < 0 ? this.#pinned[row]! : this.#whole.layout.n_features + logit;
  }
}

function nodesOfPart(
  { layout: whole, selected_features, active_features }: LinkedGraph,
  layout: NodeLayout,
  pinned: Int32Array,
): Int32Array {
  const isPinned = new Uint8Array(whole.n_features);
  for (const node of pinned) isPinned[node] = 1;
  const gone = whole.n_features - pinned.length;
  let place = 0;
  return Int32Array.from({ length: whole.n_nodes }, (_, node) => {
    if (node >= whole.n_features) return node - gone;
    if (isPinned[node] === 1) return place++;
    const active = selected_features[node]! * FEATURE_FIELDS;
    return layout.errorIndex(active_features[active]!, active_features[active + 1]!);
  });
}
