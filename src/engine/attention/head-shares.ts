/** Engine, verb `attention`: shares of a graph's influence that go through heads, added up a batch of links at a time. */
import type { LinkBatch } from '../../attention/link-batches.ts';
import { outputInfluence, spreadInfluence } from '../../graph/influence.ts';
import type { PrunedGraph } from '../../graph/prune.ts';
import type { NodePair } from './edges.ts';

const SHARE_KINDS = ['last', 'first'] as const;

/** Of the influence of all links. */
export interface HeadShare {
  /** Through paths whose last head it is. */
  readonly last: number;
  /** Through paths whose first head it is. */
  readonly first: number;
  /** Its largest loading by `last`, and the place of that link. */
  readonly strongest: { readonly link: number; readonly value: number };
}

/** The influence of each link is cut in proportion to the sizes of its parts. */
export class HeadShares {
  /** Influence of each link. */
  private readonly scores: Float64Array;
  private direct = 0;
  /** By layer and head. */
  private readonly sums: Readonly<Record<(typeof SHARE_KINDS)[number], Float64Array>>;
  private readonly strongest: { link: number; value: number }[];

  constructor(pruned: PrunedGraph, links: readonly NodePair[], n_heads_in_all: number) {
    this.scores = scoresOf(pruned, links);
    this.sums = { last: new Float64Array(n_heads_in_all), first: new Float64Array(n_heads_in_all) };
    this.strongest = Array.from({ length: n_heads_in_all }, () => ({ link: 0, value: 0 }));
  }

  /** Each link once, in any order. @param batch has `last` and `first` */
  add({ links, direct, parts }: LinkBatch): void {
    for (const kind of SHARE_KINDS) {
      const totals = Float64Array.from(direct, Math.abs);
      for (const { places, values } of parts) addSizes(totals, places, values.get(kind)!);
      // The influence of a link over the sum of its parts: times a part, it is that part's.
      const factors = totals.map((total, i) => (total === 0 ? 0 : this.scores[links[i]!]! / total));
      const sums = this.sums[kind];
      for (const { layer, places, values } of parts) {
        const sizes = sizesByHead(factors, places, values.get(kind)!);
        sizes.forEach((size, head) => (sums[layer * sizes.length + head]! += size));
      }
      if (kind === 'last') direct.forEach((value, i) => (this.direct += factors[i]! * Math.abs(value)));
    }
    for (const { layer, places, values } of parts) this.#compare(links, layer, places, values.get('last')!);
  }

  #compare(links: Int32Array, layer: number, places: Int32Array, loadings: Float32Array): void {
    const n = places.length;
    const n_heads = loadings.length / n;
    for (let head = 0; head < n_heads; head++) {
      const best = this.strongest[layer * n_heads + head]!;
      let size = Math.abs(best.value);
      for (let i = 0, at = head * n; i < n; i++, at++) {
        const own = Math.abs(loadings[at]!);
        if (own < size || (own === size && links[places[i]!]! >= best.link)) continue;
        [best.link, best.value] = [links[places[i]!]!, loadings[at]!];
        size = own;
      }
    }
  }

  /** Without any influence all of it counts as direct. */
  result(): { readonly direct: number; readonly heads: readonly HeadShare[] } {
    const total = this.scores.reduce((sum, score) => sum + score, 0);
    const share = (sum: number): number => (total === 0 ? 0 : sum / total);
    return {
      direct: total === 0 ? 1 : this.direct / total,
      heads: this.strongest.map((strongest, head) => ({
        last: share(this.sums.last[head]!),
        first: share(this.sums.first[head]!),
        strongest,
      })),
    };
  }
}

/** Influence of links (source, target) of a pruned graph. */
function scoresOf({ graph, nodeMask }: PrunedGraph, links: readonly NodePair[]): Float64Array {
  const { layout, edges } = graph;
  const { influence, rowSums } = spreadInfluence(graph, nodeMask);
  return Float64Array.from(links, ([source, target]) => {
    const row = layout.rowOfNode(target);
    if (rowSums[row] === 0) return 0;
    const weight = Math.abs(edges[row * layout.n_nodes + source]!);
    return (weight / rowSums[row]!) * outputInfluence(graph, influence, row);
  });
}

/** Adds the sizes of loadings [n_heads, places] to the totals of their places. */
function addSizes(totals: Float64Array, places: Int32Array, loadings: Float32Array): void {
  for (let from = 0; from < loadings.length; from += places.length)
    for (let i = 0; i < places.length; i++) totals[places[i]!]! += Math.abs(loadings[from + i]!);
}

/** Of each head, the sizes of its loadings times the factors of their places. */
function sizesByHead(factors: Float64Array, places: Int32Array, loadings: Float32Array): Float64Array {
  const n = places.length;
  return Float64Array.from({ length: loadings.length / n }, (_, head) => {
    let sum = 0;
    for (let i = 0, at = head * n; i < n; i++, at++) sum += factors[places[i]!]! * Math.abs(loadings[at]!);
    return sum;
  });
}
