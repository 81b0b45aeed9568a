/** Backend: entries of matrices whose numbers lie in this process, or are read into it whole. */
import { firstNonFinite } from '../formats/dtype.ts';
import type { Entries, EntryFinder, EntryRule } from './entries.ts';
import { LARGEST_FLOAT32 } from './largest.ts';

export function hostFinder(rule: EntryRule): EntryFinder {
  return {
    async find(matrix, firstRow) {
      const [, columns] = matrix.shape;
      return findEntries(await matrix.data<'float32'>(), columns, rule, firstRow);
    },
    [Symbol.dispose]: () => undefined,
  };
}

/** @param numbers [rows, columns] */
function findEntries(numbers: Float32Array, columns: number, rule: EntryRule, firstRow: number): Entries {
  const found = { rows: [] as number[], columns: [] as number[], values: [] as number[] };
  for (let row = firstRow; (row + 1) * columns <= numbers.length; row++) {
    eachWanted(numbers.subarray(row * columns, (row + 1) * columns), rule, (column, value) => {
      found.rows.push(row);
      found.columns.push(column);
      found.values.push(value);
    });
  }
  return {
    rows: Int32Array.from(found.rows),
    columns: Int32Array.from(found.columns),
    values: Float32Array.from(found.values),
    areAllFinite: firstNonFinite(numbers) < 0,
  };
}

type Emit = (column: number, value: number) => void;

function eachWanted(row: Float32Array, rule: EntryRule, emit: Emit): void {
  switch (rule.kind) {
    case 'above':
      return rule.thresholds.length === 1
        ? eachAboveOne(row, rule.thresholds[0]!, emit)
        : eachAbove(row, rule.thresholds, emit);
    case 'largest': {
      const { kept, groups, isPositive } = rule;
      const size = row.length / groups;
      for (let start = 0; start < row.length; start += size) {
        for (const i of largest(row.subarray(start, start + size), kept)) {
          const value = row[start + i]!;
          if (value !== 0 && !(isPositive && value < 0)) emit(start + i, value);
        }
      }
    }
  }
}

// NaN is not `<=` anything.

function eachAbove(row: Float32Array, thresholds: Float32Array, emit: Emit): void {
  for (let i = 0; i < row.length; i++) if (!(row[i]! <= thresholds[i]!) && row[i] !== 0) emit(i, row[i]!);
}

function eachAboveOne(row: Float32Array, threshold: number, emit: Emit): void {
  for (let i = 0; i < row.length; i++) if (!(row[i]! <= threshold) && row[i] !== 0) emit(i, row[i]!);
}

/** Indices of the k largest values, ascending. */
function largest(row: Float32Array, k: number): number[] {
  if (k >= row.length) return Array.from(row.keys());
  const ranks = firstNonFinite(row) < 0 ? row : row.map(rankOf);
  const cut = kthLargest(ranks, k);
  let room = k; // number of values equal to `cut` that still fit
  for (const rank of ranks) if (rank > cut) room--;
  const chosen: number[] = [];
  for (let f = 0; f < row.length; f++) {
    if (ranks[f]! > cut || (ranks[f] === cut && room-- > 0)) chosen.push(f);
  }
  return chosen;
}

/** By which numbers are compared: that of NaN is above that of infinity. */
function rankOf(value: number): number {
  return Number.isNaN(value) ? Infinity : Math.min(value, LARGEST_FLOAT32);
}

/** Keeps the k largest seen so far in ascending order: most values are smaller than all of them and cost one comparison. */
function kthLargest(row: Float32Array, k: number): number {
  const best = new Float32Array(k).fill(-Infinity);
  for (const value of row) {
    if (!(value > best[0]!)) continue;
    let at = 1;
    while (at < k && best[at]! < value) {
      best[at - 1] = best[at]!;
      at++;
    }
    best[at - 1] = value;
  }
  return best[0]!;
}
