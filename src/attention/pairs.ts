/** Attention: the largest entries of B without the matrix. B has the rank of a head, and |B[s, s']| is at most |Q_s| |K_s'|. */
import { yieldToEventLoop } from '../backend/event-loop.ts';
import type { HeadParts } from './head-parts.ts';

/** An entry of B: a query source, a key source, and what they add to the score together. */
export interface Pair {
  readonly query: number;
  readonly key: number;
  readonly value: number;
}

const ROWS_BETWEEN_EVENTS = 512;

/** B[s, s'] = Q_s · K_s'. */
function entry(Q: HeadParts, K: HeadParts, query: number, key: number, d_head: number): number {
  let sum = 0;
  const [a, b] = [query * d_head, key * d_head];
  for (let j = 0; j < d_head; j++) sum += Q[a + j]! * K[b + j]!;
  return sum;
}

/**
 * The n largest entries by absolute value, descending; equal ones by query, then key. Entries of 0 are left out. Sources are tried
 * by their norms, so that a row ends where the bound falls below the smallest entry that is kept: exact, and most pairs are never
 * multiplied.
 */
export async function largestPairs(Q: HeadParts, K: HeadParts, d_head: number, n: number): Promise<Pair[]> {
  const queries = byNorm(Q, d_head);
  const keys = byNorm(K, d_head);
  const best = new Best(n);
  // Norms and entries are rounded: the bound gets more than that.
  const slack = 1 + 1e-5;
  for (let i = 0; i < queries.order.length; i++) {
    if (i % ROWS_BETWEEN_EVENTS === 0) await yieldToEventLoop();
    const query = queries.order[i]!;
    const norm = queries.norms[query]! * slack;
    if (norm * keys.largest < best.smallest || norm === 0) break;
    for (let j = 0; j < keys.order.length; j++) {
      const key = keys.order[j]!;
      const bound = norm * keys.norms[key]!;
      if (bound < best.smallest || bound === 0) break;
      const value = entry(Q, K, query, key, d_head);
      if (value !== 0) best.offer({ query, key, value });
    }
  }
  return best.sorted();
}

/** Sources by the norm of their vectors, the largest first. */
function byNorm(parts: HeadParts, d_head: number) {
  const norms = Float64Array.from({ length: parts.length / d_head }, (_, source) => {
    let sum = 0;
    for (let j = source * d_head; j < (source + 1) * d_head; j++) sum += parts[j]! ** 2;
    return Math.sqrt(sum);
  });
  const order = Int32Array.from(norms.keys()).sort((a, b) => norms[b]! - norms[a]! || a - b);
  return { norms, order, largest: norms[order[0]!] ?? 0 };
}

/** Order of pairs: the best first. */
function compare(a: Pair, b: Pair): number {
  return Math.abs(b.value) - Math.abs(a.value) || a.query - b.query || a.key - b.key;
}

/** The n best pairs offered, as a heap with the worst on top. */
class Best {
  private readonly n: number;
  private readonly heap: Pair[] = [];

  constructor(n: number) {
    this.n = n;
  }

  /** What an entry has to reach; 0 while there is room. */
  get smallest(): number {
    return this.heap.length < this.n ? 0 : Math.abs(this.heap[0]?.value ?? Infinity);
  }

  offer(pair: Pair): void {
    const { heap, n } = this;
    if (n === 0) return;
    if (heap.length < n) {
      heap.push(pair);
      this.up(heap.length - 1);
    } else if (compare(pair, heap[0]!) < 0) {
      heap[0] = pair;
      this.down(0);
    }
  }

  sorted(): Pair[] {
    return [...this.heap].sort(compare);
  }

  private up(at: number): void {
    const { heap } = this;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (compare(heap[at]!, heap[above]!) <= 0) return;
      [heap[at], heap[above]] = [heap[above]!, heap[at]!];
      at = above;
    }
  }

  private down(at: number): void {
    const { heap } = this;
    for (;;) {
      let worst = at;
      for (const child of [2 * at + 1, 2 * at + 2])
        if (child < heap.length && compare(heap[child]!, heap[worst]!) > 0) worst = child;
      if (worst === at) return;
      [heap[at], heap[worst]] = [heap[worst]!, heap[at]!];
      at = worst;
    }
  }
}
