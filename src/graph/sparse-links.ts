/** Graph, links: those of a graph that has few, without the zeros of a matrix. */
import type { LinkRows, Links } from './links.ts';
import type { NodeLayout } from './node-layout.ts';

/** Links one beside the other, in any order; of those at one place the last counts, as in a matrix. */
export interface LinkList {
  readonly rows: Int32Array;
  readonly sources: Int32Array;
  readonly weights: Float32Array;
}

export class SparseLinks implements Links {
  readonly #layout: NodeLayout;
  /** `[n_rows + 1]` where the links of each row begin. */
  readonly #starts: Int32Array;
  readonly #sources: Int32Array;
  readonly #weights: Float32Array;

  constructor(layout: NodeLayout, list: LinkList) {
    const order = orderOfPlaces(layout, list);
    this.#layout = layout;
    this.#sources = order.map((link) => list.sources[link]!);
    this.#weights = new Float32Array(order.length).map((_, i) => list.weights[order[i]!]!);
    this.#starts = new Int32Array(layout.n_rows + 1);
    for (const link of order) this.#starts[list.rows[link]! + 1]!++;
    for (let row = 0; row < layout.n_rows; row++) this.#starts[row + 1]! += this.#starts[row]!;
  }

  rows(kept?: Uint8Array): LinkRows {
    const [starts, from, all] = [this.#starts, this.#sources, this.#weights];
    const sources = new Int32Array(this.#layout.n_nodes);
    const weights = new Float32Array(this.#layout.n_nodes);
    const read = (row: number): number => {
      let n = 0;
      for (let i = starts[row]!; i < starts[row + 1]!; i++) {
        const source = from[i]!;
        if (kept?.[source] === 0) continue;
        sources[n++] = source;
        weights[source] = all[i]!;
      }
      return n;
    };
    return { sources, weights, read };
  }
}

/** Indices of the links that count, by row, then source. */
function orderOfPlaces({ n_nodes }: NodeLayout, { rows, sources }: LinkList): Int32Array {
  // Numbers without a function that compares them are sorted fast: of two links of a place, the place and which comes first.
  const n = rows.length;
  const keys = new Float64Array(n);
  for (let i = 0; i < n; i++) keys[i] = (rows[i]! * n_nodes + sources[i]!) * n + i;
  keys.sort();
  const order = new Int32Array(n);
  let count = 0;
  for (const key of keys) {
    const link = key % n;
    const before = order[count - 1]!;
    if (count > 0 && rows[before] === rows[link] && sources[before] === sources[link]) count--;
    order[count++] = link;
  }
  return order.subarray(0, count);
}
