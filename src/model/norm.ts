/** Model: norms, each with its computation and with the linear map that it is while its divisor is held constant. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor1D, Tensor2D } from '../backend/backend.ts';
import type { HookPoints } from './activation-cache.ts';
import type { HookName } from './hooks.ts';

export interface NormHooks {
  /** The divisor, [pos, 1]. */
  readonly scale: HookName;
  /** The quotient, before the gain, [pos, d_model]. */
  readonly normalized: HookName;
}

/**
 * A norm over rows of d_model. With the divisor s of a pass held constant a row x becomes L · x / s plus a constant, where L
 * [d_model, d_model] is the same for every prompt.
 */
export interface Norm {
  /** Normalises rows of x [pos, d_model], each by itself. Called inside a tidy. */
  forward(x: Tensor2D, hooks: HookPoints, names: NormHooks): Tensor2D;
  /** L applied to vectors that lie along an axis: to rows, x · Lᵀ [n, d_model], or with axis 0 to columns, L · x [d_model, n]. */
  linear(x: Tensor2D, axis?: 0 | 1): Tensor2D;
  /** From gradients at L · x to gradients at x: g · L, [n, d_model]. */
  linearTransposed(g: Tensor2D): Tensor2D;
}

/** x / sqrt(mean(x²) + eps) · gain; L is the diagonal matrix of the gain [d_model]. */
export function rmsNorm(gain: Tensor1D, eps: number): Norm {
  return {
    forward(x, hooks, names) {
      const meanSquare = tf.mean(tf.square(x), 1, true); // [pos, 1]
      const scale = hooks.at(names.scale, tf.sqrt(tf.add(meanSquare, eps)));
      const normalized = hooks.at(names.normalized, tf.div<Tensor2D>(x, scale));
      return tf.mul(normalized, gain);
    },
    linear: (x, axis = 1) =>
      tf.tidy(() => tf.mul<Tensor2D>(x, axis === 1 ? gain : tf.reshape(gain, [-1, 1]))),
    linearTransposed: (g) => tf.mul(g, gain),
  };
}
