/** Model: the soft cap of Gemma 2 on attention scores and logits. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '../backend/backend.ts';

/**
 * cap · tanh(x / cap); x itself when there is no cap. All of it is NaN when a number of x is infinite: tanh would turn
 * infinity into the cap, so that a damaged parameter would look like a very likely token.
 */
export function softCap<T extends Tensor>(x: T, cap: number | null): T {
  if (cap === null) return x;
  const capped = tf.customGrad((...[input, save]) => {
    const tanh = tf.tanh(tf.div(input as Tensor, cap));
    (save as tf.GradSaveFunc)([tanh]);
    return {
      value: tf.mul(tanh, tf.add(zeroIfFinite(input as Tensor), cap)),
      // The gradient is written out, because the operations of `zeroIfFinite` have none.
      gradFunc: (dy: Tensor, saved: Tensor[]) => tf.mul(dy, tf.sub(1, tf.square(saved[0]!))),
    };
  });
  return capped(x) as T;
}

/** 0, or NaN when a number of x is infinite. Computed from minimum and maximum, so that no tensor as large as x is needed. */
function zeroIfFinite(x: Tensor): Tensor {
  return tf.add(tf.mul(tf.max(x), 0), tf.mul(tf.min(x), 0));
}
