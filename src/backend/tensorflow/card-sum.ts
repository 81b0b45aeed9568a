/** Backend, TensorFlow on a graphics card: sums of matrices on the card, which come from it once. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../backend.ts';
import type { MatrixSum } from '../matrix-sum.ts';

export class CardSum implements MatrixSum {
  private readonly columns: number;
  private sum: Tensor2D;

  constructor(rows: number, columns: number) {
    this.columns = columns;
    this.sum = tf.fill([rows, columns], 0);
  }

  add(matrix: Tensor2D, parts: readonly Int32Array[], firstRow: number): Promise<void> {
    const { columns, sum } = this;
    const [rows] = sum.shape;
    const [n, width] = matrix.shape;
    const layers = parts.length === 0 ? [] : sourcesOf(columns, parts, width);
    const added = tf.tidy(() => {
      // A column of zeros stands for what has no source, rows of zeros for the other rows.
      const padded = tf.pad(matrix, [[firstRow, rows - firstRow - n], [0, 1]]); // prettier-ignore
      return layers.reduce(
        (so, sources) => tf.add(so, tf.gather(padded, tf.tensor1d(sources, 'int32'), 1)),
        sum.clone(),
      );
    });
    sum.dispose();
    this.sum = added;
    return Promise.resolve();
  }

  read(): Promise<Float32Array> {
    return this.sum.data<'float32'>();
  }

  [Symbol.dispose](): void {
    this.sum.dispose();
  }
}

/** For each column of the sum the column of the matrix that is added to it, `width` for none; again for columns that parts share. */
function sourcesOf(columns: number, parts: readonly Int32Array[], width: number): Int32Array[] {
  const layers: Int32Array[] = [];
  let from = 0;
  let layer: Int32Array | undefined;
  for (const part of parts) {
    const before = layer;
    if (!before || part.some((column) => before[column] !== width))
      layers.push((layer = new Int32Array(columns).fill(width)));
    part.forEach((column, i) => (layer![column] = from + i));
    from += part.length;
  }
  return layers;
}
