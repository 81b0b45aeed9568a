/** Model: activation functions of MLPs, under the names of transformers. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../backend/backend.ts';

const SQRT_2_OVER_PI = Math.sqrt(2 / Math.PI);

/** x/2 · (1 + tanh(sqrt(2/π) · (x + 0.044715 x³))) */
function geluTanh(x: Tensor2D): Tensor2D {
  const cubic = tf.mul(tf.mul(tf.square(x), 0.044715), x);
  const inner = tf.mul(tf.add(x, cubic), SQRT_2_OVER_PI);
  return tf.mul(tf.mul(x, 0.5), tf.add(tf.tanh(inner), 1));
}

/** x/2 · (1 + erf(x / sqrt(2))) */
function geluExact(x: Tensor2D): Tensor2D {
  return tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1));
}

/** x / (1 + e^−x) */
function silu(x: Tensor2D): Tensor2D {
  return tf.mul(x, tf.sigmoid(x));
}

const FUNCTIONS = { gelu_pytorch_tanh: geluTanh, gelu: geluExact, silu, relu: tf.relu<Tensor2D> } as const;

export type ActivationName = keyof typeof FUNCTIONS;

/** Called inside a tidy. */
export function activate(name: ActivationName, x: Tensor2D): Tensor2D {
  return FUNCTIONS[name](x);
}
