/** Attention: which sources are walked forwards together. Those of one position reach the same positions, so they go side by side. */
import type { SourceList } from './source-list.ts';

/** Sources that are walked together. */
export interface ForwardBatch {
  /** In the order of the layers that they first write into; those of the embedding first. */
  readonly sources: Int32Array;
  /** None of them writes at a position before it. */
  readonly firstPosition: number;
}

/** From this many rows and positions on, products are as fast as they get: a batch does not take in rows of an earlier position. */
const ENOUGH_ROWS = 128;

/** Residual streams of a batch stay below this; about five such tensors are in memory at a time. */
const LARGEST_ROWS_BYTES = 128 * 1024 * 1024;
const FLOAT32_BYTES = 4;

/** The layer that a source first writes into; -1: the embedding. */
export function firstLayer(list: SourceList, source: number): number {
  return list.describe(source).layer ?? -1;
}

/** The first position that a source writes at. */
export function firstPosition(list: SourceList, source: number): number {
  return list.describe(source).position ?? 0;
}

/** Batches of sources up to position `n_pos`, the latest positions first. */
export function forwardBatches(
  list: SourceList,
  sources: Iterable<number>,
  n_pos: number,
  d_model: number,
): ForwardBatch[] {
  const byPosition = Array.from({ length: n_pos }, (): number[] => []);
  for (const source of sources) byPosition[firstPosition(list, source)]?.push(source);
  const batches: ForwardBatch[] = [];
  let members: number[] = [];
  for (let position = n_pos - 1; position >= 0; position--) {
    for (const source of byPosition[position]!) members.push(source);
    const size = members.length * (n_pos - position);
    if (size === 0 || (size < ENOUGH_ROWS && position > 0)) continue;
    const largest = Math.max(
      1,
      Math.floor(LARGEST_ROWS_BYTES / ((n_pos - position) * d_model * FLOAT32_BYTES)),
    );
    const parts = Math.ceil(members.length / largest);
    for (let part = 0; part < parts; part++) {
      const cut = (at: number): number => Math.round((at * members.length) / parts);
      const own = members.slice(cut(part), cut(part + 1));
      own.sort((a, b) => firstLayer(list, a) - firstLayer(list, b) || a - b);
      batches.push({ sources: Int32Array.from(own), firstPosition: position });
    }
    members = [];
  }
  return batches;
}
