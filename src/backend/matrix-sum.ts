/** Backend: a matrix that products are added to where they are computed, so that it comes back from a device once. */
import type { Tensor2D } from '@tensorflow/tfjs-core';

export interface MatrixSum extends Disposable {
  /**
   * Adds a matrix [n, m] to n rows from `firstRow` on: its columns, in this order, to the given ones, part after part. Those of one part
   * are different ones, and all parts together have m. The matrix stays the caller's.
   */
  add(matrix: Tensor2D, columns: readonly Int32Array[], firstRow: number): Promise<void>;
  /** The sum, row-major. Last of all calls: it is the sum's own memory. */
  read(): Promise<Float32Array>;
}
