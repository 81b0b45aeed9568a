/** Attribution: rows of edges while they are computed. Gradients are multiplied with sources, and what comes out is added. */
import * as tf from '@tensorflow/tfjs-core';
import type { Backend, Tensor2D, Tensor3D } from '../backend/backend.ts';
import type { MatrixSum } from '../backend/matrix-sum.ts';
import type { RowColumns } from '../graph/row-columns.ts';
import type { SourceBlock, SourcesAt } from './sources.ts';

/** What is needed to know of columns here. */
export type SumColumns = Pick<RowColumns, 'n_columns' | 'tokenColumn'>;

/** Dispose it, or take it with `using`. */
export class RowSums implements Disposable {
  private readonly columns: SumColumns;
  /** [n, n_columns] */
  private readonly sum: MatrixSum;

  constructor(backend: Pick<Backend, 'matrixSum'>, n: number, columns: SumColumns) {
    this.columns = columns;
    this.sum = backend.matrixSum(n, columns.n_columns);
  }

  /** All of it, [n, n_columns], once everything was added. */
  values(): Promise<Float32Array> {
    return this.sum.read();
  }

  /** Adds the products of sources at consecutive positions with gradients g [n_pos, n, d_model] of the first n rows. */
  async addDots({ firstPosition, at, filled }: SourceBlock, g: Tensor3D): Promise<void> {
    const [n_pos, n, d_model] = g.shape;
    const reached = at.slice(0, n_pos - firstPosition);
    if (reached.length === 0) return;
    const products = tf.tidy(() => {
      const part = tf.slice<tf.Rank.R3, Tensor3D>(g, [firstPosition, 0, 0], [reached.length, n, d_model]);
      return filled ? dotsOfFilled(reached, filled, part) : dotsAtEach(reached, part);
    });
    await this.add(
      products,
      reached.map(({ columns }) => columns),
      0,
    );
  }

  /** Adds the products of sources at one position with gradients [n, d_model] of n rows from `firstRow` on. */
  async addDotsAt({ vectors, columns }: SourcesAt, g: Tensor2D, firstRow: number): Promise<void> {
    await this.add(tf.matMul<Tensor2D>(g, vectors, false, true), [columns], firstRow);
  }

  /** As `addDots`, but g is [n, d_model], of n rows from `firstRow` on, each at its own position only. */
  async addDotsAtOwn(
    { firstPosition, at }: SourceBlock,
    g: Tensor2D,
    positions: Int32Array,
    firstRow: number,
  ): Promise<void> {
    const d_model = g.shape[1];
    for (let start = 0; start < positions.length;) {
      let stop = start + 1;
      while (stop < positions.length && positions[stop] === positions[start]) stop++;
      const part = tf.slice<tf.Rank.R2, Tensor2D>(g, [start, 0], [stop - start, d_model]);
      await this.addDotsAt(at[positions[start]! - firstPosition]!, part, firstRow + start);
      part.dispose();
      start = stop;
    }
  }

  /**
   * Adds what tokens are multiplied with, of gradients [n_pos, n, d_model] at the embedding; or of other vectors [pos, d_model], whose
   * columns are those from `first` on.
   */
  async addTokenDots(
    tokenVectors: Tensor2D,
    g: Tensor3D,
    first: number = this.columns.tokenColumn(0),
  ): Promise<void> {
    const [n_pos, n, d_model] = g.shape;
    const products: Tensor2D = tf.tidy(() => {
      const vectors = tf.reshape(tf.slice(tokenVectors, [0, 0], [n_pos, d_model]), [n_pos, d_model, 1]);
      return tf.transpose(tf.reshape<tf.Rank.R2>(tf.matMul(g, vectors), [n_pos, n]));
    });
    const columns = Int32Array.from({ length: n_pos }, (_, position) => first + position);
    await this.add(products, [columns], 0);
  }

  /** Adds to one column the products of gradients g [n_pos, n, d_model] with a vector a position, [n_pos, d_model], summed over them. */
  async addSummed(vectors: Tensor2D, g: Tensor3D, column: number): Promise<void> {
    const [n_pos, n, d_model] = g.shape;
    const products: Tensor2D = tf.tidy(() => {
      const columns = tf.reshape<tf.Rank.R3>(vectors, [n_pos, d_model, 1]);
      return tf.reshape(tf.sum(tf.matMul(g, columns), 0), [n, 1]);
    });
    await this.add(products, [Int32Array.of(column)], 0);
  }

  /** Adds products [n, all columns side by side] to n rows from `firstRow` on, and disposes them. */
  private async add(products: Tensor2D, columns: readonly Int32Array[], firstRow: number): Promise<void> {
    try {
      await this.sum.add(products, columns, firstRow);
    } finally {
      products.dispose();
    }
  }

  [Symbol.dispose](): void {
    this.sum[Symbol.dispose]();
  }
}

/** [n, all sources side by side], of gradients [reached, n, d_model]. */
function dotsAtEach(reached: readonly SourcesAt[], g: Tensor3D): Tensor2D {
  const gradients = tf.unstack(g) as Tensor2D[];
  return tf.concat(
    reached.map(({ vectors }, i) => tf.matMul<Tensor2D>(gradients[i]!, vectors, false, true)),
    1,
  );
}

/** The same in one product: what belongs to no source is left out afterwards. */
function dotsOfFilled(reached: readonly SourcesAt[], filled: Tensor3D, g: Tensor3D): Tensor2D {
  const [, most, d_model] = filled.shape;
  const [n_reached, n] = g.shape;
  const vectors = tf.slice<tf.Rank.R3, Tensor3D>(filled, [0, 0, 0], [n_reached, most, d_model]);
  // Sources are rows of the product, so that those to keep are found by one index.
  const dots = tf.reshape<tf.Rank.R2>(tf.matMul(vectors, g, false, true), [n_reached * most, n]);
  const kept = reached.flatMap(({ columns }, i) => Array.from(columns, (_, j) => i * most + j));
  return tf.transpose(tf.gather(dots, tf.tensor1d(kept, 'int32')));
}
