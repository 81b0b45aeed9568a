/** Model: norms, each with its computation and with the linear map that it is while its divisor is held constant. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor1D, Tensor2D } from '../backend/backend.ts';
import type { HookPoints } from './activation-cache.ts';
import type { NormKind } from './block-spec.ts';
import type { HookName } from './hooks.ts';

export interface NormHooks {
  /** The divisor, [pos, 1]. */
  readonly scale: HookName;
  /** [pos, d_model]: of an RMS norm the quotient, before the gain; of a layer norm its output. */
  readonly normalized: HookName;
}

/**
 * A norm over rows of d_model. With the divisor s of a pass held constant a row x becomes L · x / s plus a constant, where L
 * [d_model, d_model] is the same for every prompt.
 */
export interface Norm {
  readonly parameters: NormParameters;
  /** Normalises rows of x [pos, d_model], each by itself. Called inside a tidy. */
  forward(x: Tensor2D, hooks: HookPoints, names: NormHooks): Tensor2D;
  /** L applied to vectors that lie along an axis: to rows, x · Lᵀ [n, d_model], or with axis 0 to columns, L · x [d_model, n]. */
  linear(x: Tensor2D, axis?: 0 | 1): Tensor2D;
  /** From gradients at L · x to gradients at x: g · L, [n, d_model]. */
  linearTransposed(g: Tensor2D): Tensor2D;
  /** As `linear`, up to what `hook_normalized` shows: without the gain of an RMS norm. */
  normalizedLinear(x: Tensor2D): Tensor2D;
  /** From gradients at what `hook_normalized` shows, times s, to gradients at x, [n, d_model]. */
  normalizedTransposed(g: Tensor2D): Tensor2D;
}

/** Parameters of a norm as they are used; gains include the family's offset. They stay the caller's. */
export interface NormParameters {
  /** Gain, [d_model]. */
  readonly w: Tensor1D;
  /** Bias of a layer norm, [d_model]. */
  readonly b?: Tensor1D | undefined;
}

export function normOf({ kind }: NormKind, { w, b }: NormParameters, eps: number): Norm {
  return kind === 'rms' ? rmsNorm(w, eps) : layerNorm(w, b, eps);
}

/** x / sqrt(mean(x²) + eps) · gain; L is the diagonal matrix of the gain [d_model]. */
function rmsNorm(gain: Tensor1D, eps: number): Norm {
  return {
    parameters: { w: gain },
    forward(x, hooks, names) {
      const meanSquare = tf.mean(tf.square(x), 1, true); // [pos, 1]
      const scale = hooks.at(names.scale, tf.sqrt(tf.add(meanSquare, eps)));
      const normalized = hooks.at(names.normalized, tf.div<Tensor2D>(x, scale));
      return tf.mul(normalized, gain);
    },
    linear: (x, axis = 1) => tf.tidy(() => tf.mul<Tensor2D>(x, along(gain, axis))),
    linearTransposed: (g) => tf.mul(g, gain),
    normalizedLinear: (x) => x.clone(),
    normalizedTransposed: (g) => g.clone(),
  };
}

/** (x − mean(x)) / sqrt(var(x) + eps) · gain + bias; L = diag(gain) · (I − 1/d), where the second factor subtracts the mean. */
function layerNorm(gain: Tensor1D, bias: Tensor1D | undefined, eps: number): Norm {
  const centred = (x: Tensor2D, axis: 0 | 1): Tensor2D => tf.sub(x, tf.mean(x, axis, true));
  const linear = (x: Tensor2D, axis: 0 | 1 = 1): Tensor2D =>
    tf.tidy(() => tf.mul<Tensor2D>(centred(x, axis), along(gain, axis)));
  const linearTransposed = (g: Tensor2D): Tensor2D => tf.tidy(() => centred(tf.mul<Tensor2D>(g, gain), 1));
  return {
    parameters: { w: gain, b: bias },
    forward(x, hooks, names) {
      const deviation = centred(x, 1);
      const variance = tf.mean(tf.square(deviation), 1, true); // [pos, 1]
      const scale = hooks.at(names.scale, tf.sqrt(tf.add(variance, eps)));
      const scaled = tf.mul<Tensor2D>(tf.div(deviation, scale), gain);
      return hooks.at(names.normalized, bias ? tf.add<Tensor2D>(scaled, bias) : scaled);
    },
    linear,
    linearTransposed,
    normalizedLinear: (x) => linear(x),
    normalizedTransposed: linearTransposed,
  };
}

/** Gains for vectors that lie along an axis. */
function along(gain: Tensor1D, axis: 0 | 1): Tensor1D | Tensor2D {
  return axis === 1 ? gain : tf.reshape<tf.Rank.R2>(gain, [-1, 1]);
}
