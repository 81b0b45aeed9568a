/** Model: RMS norm, with its divisor as a hook so that it can be read, edited and held constant. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor1D, Tensor2D } from '../backend/backend.ts';
import type { HookPoints } from './activation-cache.ts';
import type { HookName } from './hooks.ts';

/**
 * x / sqrt(mean(x²) + eps) · gain, rows of [pos, d_model] each by itself. `hook_scale` is the divisor [pos, 1];
 * `hook_normalized` is the quotient, before the gain.
 */
export function rmsNorm(
  x: Tensor2D,
  gain: Tensor1D,
  eps: number,
  hooks: HookPoints,
  names: { readonly scale: HookName; readonly normalized: HookName },
): Tensor2D {
  const meanSquare = tf.mean(tf.square(x), 1, true); // [pos, 1]
  const scale = hooks.at(names.scale, tf.sqrt(tf.add(meanSquare, eps)));
  const normalized = hooks.at(names.normalized, tf.div<Tensor2D>(x, scale));
  return tf.mul(normalized, gain);
}
