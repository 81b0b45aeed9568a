/** Backend: which entries of a matrix are wanted, found where the matrix is, so that only they come back from a device. */
import type { Tensor2D } from '@tensorflow/tfjs-core';

/**
 * Entries that are exactly 0 are never wanted. NaN is larger than any number. Subnormal numbers may count as 0 where an engine's
 * arithmetic flushes them.
 */
export type EntryRule =
  /** Greater than the threshold of their column; one threshold is for all columns. */
  | { readonly kind: 'above'; readonly thresholds: Float32Array }
  /** The `kept` largest of each of `groups` groups of consecutive columns of a row; of equal ones those of the smaller columns. */
  | {
      readonly kind: 'largest';
      readonly kept: number;
      readonly groups: number;
      /** Of these only what is greater than 0. */
      readonly isPositive: boolean;
    };

/** Entries of a matrix, sorted by row, then column. */
export interface Entries {
  readonly rows: Int32Array;
  readonly columns: Int32Array;
  readonly values: Float32Array;
  /** Whether all numbers of the matrix are finite, wanted or not. */
  readonly areAllFinite: boolean;
}

/** Finds entries by one rule, in matrices with one number of columns. Dispose it after use. */
export interface EntryFinder extends Disposable {
  /** Entries of rows from `firstRow` on. The matrix stays the caller's. */
  find(matrix: Tensor2D, firstRow: number): Promise<Entries>;
}
