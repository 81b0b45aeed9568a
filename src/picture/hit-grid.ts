/** Picture: finds the mark nearest to a point. Marks are sorted into a grid, so that the time does not grow with their number. */

import type { Layout } from './layout.ts';

/** Width of a bucket in radii of a mark. */
const BUCKET_RADII = 6;

export class HitGrid {
  readonly #layout: Layout;
  readonly #bucket: number;
  readonly #columns: number;
  readonly #rows: number;
  /** Nodes of bucket b: `#nodes[#start[b] … #start[b + 1]]`. */
  readonly #start: Int32Array;
  readonly #nodes: Int32Array;

  constructor(layout: Layout) {
    this.#layout = layout;
    this.#bucket = layout.radius * BUCKET_RADII;
    this.#columns = Math.max(1, Math.ceil(layout.width / this.#bucket));
    this.#rows = Math.max(1, Math.ceil(layout.height / this.#bucket));
    const bucketOf = Int32Array.from(layout.x, (x, node) => this.#bucketAt(x, layout.y[node]!));
    this.#start = new Int32Array(this.#columns * this.#rows + 1);
    for (const bucket of bucketOf) this.#start[bucket + 1]!++;
    for (let i = 1; i < this.#start.length; i++) this.#start[i]! += this.#start[i - 1]!;
    const next = this.#start.slice();
    this.#nodes = new Int32Array(bucketOf.length);
    bucketOf.forEach((bucket, node) => (this.#nodes[next[bucket]!++] = node));
  }

  /** The mark whose centre is nearest, if it is within `reach`; `shown[node]` must be 1. */
  nearest(x: number, y: number, reach: number, shown: Uint8Array): number | null {
    let found: number | null = null;
    let least = reach * reach;
    const [left, right] = [this.#column(x - reach), this.#column(x + reach)];
    const [top, bottom] = [this.#row(y - reach), this.#row(y + reach)];
    for (let row = top; row <= bottom; row++) {
      for (let column = left; column <= right; column++) {
        const bucket = row * this.#columns + column;
        for (let i = this.#start[bucket]!; i < this.#start[bucket + 1]!; i++) {
          const node = this.#nodes[i]!;
          const far = (this.#layout.x[node]! - x) ** 2 + (this.#layout.y[node]! - y) ** 2;
          if (far > least || shown[node] !== 1) continue;
          [least, found] = [far, node];
        }
      }
    }
    return found;
  }

  #bucketAt(x: number, y: number): number {
    return this.#row(y) * this.#columns + this.#column(x);
  }

  #column(x: number): number {
    return Math.min(this.#columns - 1, Math.max(0, Math.floor(x / this.#bucket)));
  }

  #row(y: number): number {
    return Math.min(this.#rows - 1, Math.max(0, Math.floor(y / this.#bucket)));
  }
}
