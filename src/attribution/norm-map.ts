/** Attribution: the way back through a norm whose divisor is held constant, for gradients at some or all positions. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor1D, Tensor2D, Tensor3D } from '../backend/backend.ts';

/** All of it is called inside a tidy. */
export class NormMap {
  private readonly back: ((g: Tensor2D) => Tensor2D) | null;
  private readonly scale: Tensor1D | null;

  /**
   * @param back from gradients at what the norm gives, times its divisor, to gradients at what it reads, [n, d_model]
   * @param divisors of each position, [pos, 1]
   */
  constructor(back: (g: Tensor2D) => Tensor2D, divisors: Tensor2D);
  /** No norm: gradients stay as they are. */
  constructor();
  constructor(back?: (g: Tensor2D) => Tensor2D, divisors?: Tensor2D) {
    this.back = back ?? null;
    this.scale = divisors ? tf.reshape<tf.Rank.R1>(tf.reciprocal(divisors), [-1]) : null;
  }

  /** Gradients at the first positions, [pos, n, d_model]. */
  all(g: Tensor3D): Tensor3D {
    const { back, scale } = this;
    if (!back || !scale) return g.clone();
    const [n_pos, n, d_model] = g.shape;
    const moved = tf.reshape<tf.Rank.R3>(back(tf.reshape(g, [n_pos * n, d_model])), g.shape);
    return tf.mul(moved, tf.reshape(tf.slice1d(scale, 0, n_pos), [n_pos, 1, 1]));
  }

  /** Gradients at one position, [n, d_model]. */
  at(position: number, g: Tensor2D): Tensor2D {
    const { back, scale } = this;
    return back && scale ? tf.mul(back(g), tf.slice1d(scale, position, 1)) : g.clone();
  }

  /** Gradients [n, d_model], each at its position. */
  atEach(positions: Int32Array, g: Tensor2D): Tensor2D {
    const { back, scale } = this;
    if (!back || !scale) return g.clone();
    return tf.mul(back(g), tf.reshape(tf.gather(scale, tf.tensor1d(positions, 'int32')), [-1, 1]));
  }
}
