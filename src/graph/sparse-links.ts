/** Graph, links: those of a graph that has few, without the zeros of a matrix. */
import type { LinkRows, Links } from './links.ts';
import type { NodeLayout } from './node-layout.ts';

/** A link by its place in the matrix. */
export interface PlacedLink {
  readonly row: number;
  readonly source: number;
  readonly weight: number;
}

export class SparseLinks implements Links {
  readonly #layout: NodeLayout;
  /** `[n_rows + 1]` where the links of each row begin. */
  readonly #starts: Int32Array;
  readonly #sources: Int32Array;
  readonly #weights: Float32Array;

  /** In any order; of links at one place the last counts, as in a matrix. */
  constructor(layout: NodeLayout, links: readonly PlacedLink[]) {
    const ordered = byPlace(layout, links);
    this.#layout = layout;
    this.#starts = new Int32Array(layout.n_rows + 1);
    for (const { row } of ordered) this.#starts[row + 1]!++;
    for (let row = 0; row < layout.n_rows; row++) this.#starts[row + 1]! += this.#starts[row]!;
    this.#sources = Int32Array.from(ordered, ({ source }) => source);
    this.#weights = Float32Array.from(ordered, ({ weight }) => weight);
  }

  rows(kept?: Uint8Array): LinkRows {
    const [starts, from, all] = [this.#starts, this.#sources, this.#weights];
    const sources = new Int32Array(this.#layout.n_nodes);
    const weights = new Float32Array(this.#layout.n_nodes);
    const read = (row: number): number => {
      let n = 0;
      for (let i = starts[row]!; i < starts[row + 1]!; i++) {
        if (kept?.[from[i]!] === 0) continue;
        sources[n] = from[i]!;
        weights[n++] = all[i]!;
      }
      return n;
    };
    return { sources, weights, read };
  }
}

/** By row, then source. */
function byPlace({ n_nodes }: NodeLayout, links: readonly PlacedLink[]): PlacedLink[] {
  // Numbers of a typed array are sorted faster than objects; what is left of the place tells the link, the last of a place last.
  const keys = Float64Array.from(links, ({ row, source }, i) => (row * n_nodes + source) * links.length + i);
  const ordered = Array.from(keys.sort(), (key) => links[key % links.length]!);
  return ordered.filter(({ row, source }, i) => {
    const next = ordered[i + 1];
    return next?.row !== row || next.source !== source;
  });
}
