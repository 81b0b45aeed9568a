/** Attention: which sources are walked forwards together. Those of one position reach the same positions, so they go side by side. */
import type { SourceList } from './source-list.ts';

/** Sources that begin at one position. */
export interface SourceGroup {
  /** In the order of the layers that they first write into. */
  readonly sources: Int32Array;
  /** These layers; -1: the embedding. */
  readonly firstLayers: Int32Array;
  /** Their position; 0 when they are spread. */
  readonly firstPosition: number;
  /** Positions that they can reach, from the first on. */
  readonly n_places: number;
  /** Whether they write at all positions, as biases do, instead of at one. */
  readonly isSpread: boolean;
}

/** Sources that are walked together, in groups by ascending position. */
export interface ForwardBatch {
  readonly groups: readonly SourceGroup[];
}

/** Residual streams of a batch are of about this size at most; about six such tensors are in memory at a time. */
const LARGEST_ROWS_BYTES = 64 * 1024 * 1024;
const FLOAT32_BYTES = 4;

/** The layer that a source first writes into; -1: the embedding. */
export function firstLayer(list: SourceList, source: number): number {
  return list.describe(source).layer ?? -1;
}

/** The first position that a source writes at. */
export function firstPosition(list: SourceList, source: number): number {
  return list.describe(source).position ?? 0;
}

/** Batches of sources up to position `n_pos`, about equally large. */
export function forwardBatches(
  list: SourceList,
  sources: Iterable<number>,
  n_pos: number,
  d_model: number,
  largestBytes: number = LARGEST_ROWS_BYTES,
): ForwardBatch[] {
  const groups = sourceGroups(list, sources, n_pos);
  const sizes = groups.map((group) => group.sources.length * group.n_places);
  const n_rows = sizes.reduce((sum, size) => sum + size, 0);
  const n_batches = Math.ceil((n_rows * d_model * FLOAT32_BYTES) / largestBytes);
  const batches = Array.from({ length: n_batches }, (): SourceGroup[] => []);
  let before = 0; // rows
  for (const group of groups) {
    for (let from = 0; from < group.sources.length;) {
      const batch = Math.floor((before * n_batches) / n_rows);
      const room = ((batch + 1) * n_rows) / n_batches - before;
      const stop = Math.min(from + Math.ceil(room / group.n_places), group.sources.length);
      batches[batch]!.push(partOf(group, from, stop));
      before += (stop - from) * group.n_places;
      from = stop;
    }
  }
  return batches.filter((batch) => batch.length > 0).map((batch) => ({ groups: batch }));
}

function sourceGroups(list: SourceList, sources: Iterable<number>, n_pos: number): SourceGroup[] {
  const spread: number[] = [];
  const byPosition = Array.from({ length: n_pos }, (): number[] => []);
  for (const source of sources) {
    const { position } = list.describe(source);
    (position === null ? spread : byPosition[position])?.push(source);
  }
  const group = (members: number[], position: number, isSpread: boolean): SourceGroup => {
    members.sort((a, b) => firstLayer(list, a) - firstLayer(list, b) || a - b);
    return {
      sources: Int32Array.from(members),
      firstLayers: Int32Array.from(members, (source) => firstLayer(list, source)),
      firstPosition: position,
      n_places: n_pos - position,
      isSpread,
    };
  };
  return [
    group(spread, 0, true),
    ...byPosition.map((members, position) => group(members, position, false)),
  ].filter(({ sources: { length } }) => length > 0);
}

function partOf(group: SourceGroup, from: number, stop: number): SourceGroup {
  return {
    ...group,
    sources: group.sources.subarray(from, stop),
    firstLayers: group.firstLayers.subarray(from, stop),
  };
}
