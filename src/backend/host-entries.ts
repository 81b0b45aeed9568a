/** Backend: entries of matrices whose numbers lie in this process, or are read into it whole. */
import { firstNonFinite } from '../formats/dtype.ts';
import type { Entries, EntryFinder, EntryRule } from './entries.ts';
import { LARGEST_FLOAT32 } from './largest.ts';

export function hostFinder(rule: EntryRule): EntryFinder {
  const search = searchBy(rule);
  return {
    async find(matrix, firstRow) {
      const [, columns] = matrix.shape;
      return findEntries(await matrix.data<'float32'>(), columns, search, firstRow);
    },
    [Symbol.dispose]: () => undefined,
  };
}

/** @param numbers [rows, columns] */
function findEntries(numbers: Float32Array, columns: number, search: Search, firstRow: number): Entries {
  const areAllFinite = firstNonFinite(numbers) < 0;
  const [rowOf, columnOf, valueOf]: [number[], number[], number[]] = [[], [], []];
  for (let row = firstRow; (row + 1) * columns <= numbers.length; row++) {
    search(numbers.subarray(row * columns, (row + 1) * columns), (column, value) => {
      rowOf.push(row);
      columnOf.push(column);
      valueOf.push(value);
    });
  }
  return {
    rows: Int32Array.from(rowOf),
    columns: Int32Array.from(columnOf),
    values: Float32Array.from(valueOf),
    areAllFinite,
  };
}

/** Gives out the wanted entries of a row, ascending. */
type Search = (row: Float32Array, emit: (column: number, value: number) => void) => void;

function searchBy(rule: EntryRule): Search {
  switch (rule.kind) {
    case 'above':
      return rule.thresholds.length === 1 ? aboveOne(rule.thresholds[0]!) : above(rule.thresholds);
    case 'largest':
      return largestOf(rule);
  }
}

// NaN is not `<=` anything.

function above(thresholds: Float32Array): Search {
  return (row, emit) => {
    for (let i = 0; i < row.length; i++) if (!(row[i]! <= thresholds[i]!) && row[i] !== 0) emit(i, row[i]!);
  };
}

function aboveOne(threshold: number): Search {
  return (row, emit) => {
    for (let i = 0; i < row.length; i++) if (!(row[i]! <= threshold) && row[i] !== 0) emit(i, row[i]!);
  };
}

function largestOf({ kept, groups, isPositive }: EntryRule & { readonly kind: 'largest' }): Search {
  return (row, emit) => {
    const size = row.length / groups;
    for (let start = 0; start < row.length; start += size) {
      for (const i of largest(row.subarray(start, start + size), kept)) {
        const value = row[start + i]!;
        if (value !== 0 && !(isPositive && value < 0)) emit(start + i, value);
      }
    }
  };
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
