/** Model: the soft cap of Gemma 2 on attention scores and logits. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '../backend/backend.ts';

/**
 * cap · tanh(x / cap); x itself when there is no cap. All of it is NaN when a number of x is infinite: tanh would make
 * the cap of it, so that a damaged parameter would pass for a very likely token.
 */
export function softCap<T extends Tensor>(x: T, cap: number | null): T {
  if (cap === null) return x;
  const capped = tf.customGrad((...[input, save]) => {
    const tanh = tf.tanh(tf.div(input as Tensor, cap));
    (save as tf.GradSaveFunc)([tanh]);
    return {
      value: tf.mul(tanh, tf.add(zeroIfFinite(input as Tensor), cap)),
      // By hand, because the detour over the extremes has no gradient of its own.
      gradFunc: (dy: Tensor, saved: Tensor[]) => tf.mul(dy, tf.sub(1, tf.square(saved[0]!))),
    };
  });
  return capped(x) as T;
}

/** 0, or NaN when a number of x is infinite. From the extremes, so that nothing as large as x is made for it. */
function zeroIfFinite(x: Tensor): Tensor {
  return tf.add(tf.mul(tf.max(x), 0), tf.mul(tf.min(x), 0));
}
