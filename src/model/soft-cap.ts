/** Model: the soft cap of Gemma 2 on attention scores and logits. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '../backend/backend.ts';

/** cap · tanh(x / cap); x itself when there is no cap. */
export function softCap<T extends Tensor>(x: T, cap: number | null): T {
  return cap === null ? x : tf.mul(tf.tanh(tf.div(x, cap)), cap);
}
