/** Attribution: a norm whose divisor is held constant, backwards for gradients and forwards for what sources write. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor1D, Tensor2D, Tensor3D } from '../backend/backend.ts';

/** A linear map of rows of d_model, and its transpose; without the division by the divisor. */
export interface RowMap {
  readonly forth: (x: Tensor2D) => Tensor2D;
  readonly back: (g: Tensor2D) => Tensor2D;
}

/** All of it is called inside a tidy. */
export class NormMap {
  private readonly map: RowMap | null;
  private readonly scale: Tensor1D | null;

  /** @param divisors of each position, [pos, 1] */
  constructor(map: RowMap, divisors: Tensor2D);
  /** No norm: rows stay as they are. */
  constructor();
  constructor(map?: RowMap, divisors?: Tensor2D) {
    this.map = map ?? null;
    this.scale = divisors ? tf.reshape<tf.Rank.R1>(tf.reciprocal(divisors), [-1]) : null;
  }

  /** Gradients at the first positions, [pos, n, d_model]. */
  all(g: Tensor3D): Tensor3D {
    const { map, scale } = this;
    if (!map || !scale) return g.clone();
    const [n_pos, n, d_model] = g.shape;
    const moved = tf.reshape<tf.Rank.R3>(map.back(tf.reshape(g, [n_pos * n, d_model])), g.shape);
    return tf.mul(moved, tf.reshape(tf.slice1d(scale, 0, n_pos), [n_pos, 1, 1]));
  }

  /** Gradients at one position, [n, d_model]. */
  at(position: number, g: Tensor2D): Tensor2D {
    const { map, scale } = this;
    return map && scale ? tf.mul(map.back(g), tf.slice1d(scale, position, 1)) : g.clone();
  }

  /** Gradients [n, d_model], each at its position. */
  atEach(positions: Int32Array, g: Tensor2D): Tensor2D {
    return this.map ? this.each(positions, g, this.map.back) : g.clone();
  }

  /** Rows [n, d_model], each at its position, forwards. */
  forthEach(positions: Int32Array, x: Tensor2D): Tensor2D {
    return this.map ? this.each(positions, x, this.map.forth) : x.clone();
  }

  private each(positions: Int32Array, rows: Tensor2D, step: RowMap['back']): Tensor2D {
    const own = tf.gather(this.scale!, tf.tensor1d(positions, 'int32'));
    return tf.mul(step(rows), tf.reshape(own, [-1, 1]));
  }
}
