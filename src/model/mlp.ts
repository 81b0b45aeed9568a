/** Model: the gated MLP. */
import * as tf from '@tensorflow/tfjs-core';
import type { HeldWeight, Tensor2D } from '../backend/backend.ts';
import type { HookPoints } from './activation-cache.ts';
import { blockHook } from './hooks.ts';

export interface MlpWeights {
  readonly W_gate: HeldWeight;
  readonly W_in: HeldWeight;
  readonly W_out: HeldWeight;
}

const SQRT_2_OVER_PI = Math.sqrt(2 / Math.PI);

/** Gelu in its tanh form: x/2 · (1 + tanh(sqrt(2/π) · (x + 0.044715 x³))). */
export function geluTanh(x: Tensor2D): Tensor2D {
  const cubic = tf.mul(tf.mul(tf.square(x), 0.044715), x);
  const inner = tf.mul(tf.add(x, cubic), SQRT_2_OVER_PI);
  return tf.mul(tf.mul(x, 0.5), tf.add(tf.tanh(inner), 1));
}

/** Output [pos, d_model] of the MLP of a layer, before the post norm, of normalised inputs x [pos, d_model]. */
export function gatedMlp(x: Tensor2D, weights: MlpWeights, layer: number, hooks: HookPoints): Tensor2D {
  const pre = hooks.at(blockHook(layer, 'mlp.hook_pre'), weights.W_gate.matMul(x, { transpose: true }));
  const preLinear = hooks.at(
    blockHook(layer, 'mlp.hook_pre_linear'),
    weights.W_in.matMul(x, { transpose: true }),
  );
  const post = hooks.at(blockHook(layer, 'mlp.hook_post'), tf.mul<Tensor2D>(geluTanh(pre), preLinear)); // [pos, d_mlp]
  return weights.W_out.matMul(post, { transpose: true });
}
