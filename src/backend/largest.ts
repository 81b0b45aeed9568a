/** Backend: which entries are the largest of their row, in tensors, by the rules of `entries.ts`. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from './backend.ts';

/** Infinity counts as much as this: above it is NaN alone. */
export const LARGEST_FLOAT32 = (2 - 2 ** -23) * 2 ** 127;

/** The k largest of each row. Equal values are counted, since engines order them as they like. Called inside a tidy. */
export function areLargest(values: Tensor2D, k: number): Tensor2D {
  if (k >= values.shape[1]) return tf.ones(values.shape, 'bool');
  const ranks = ranksOf(values);
  const best = tf.topk(ranks, k).values; // [n, k], descending
  const cut = tf.slice(best, [0, k - 1], [-1, 1]);
  const isAbove = tf.greater(ranks, cut);
  const isEqual = tf.equal(ranks, cut);
  const room = tf.sub(k, tf.sum(tf.cast(isAbove, 'float32'), 1, true));
  const before = tf.cumsum(tf.cast(isEqual, 'float32'), 1, true);
  return tf.logicalOr(isAbove, tf.logicalAnd(isEqual, tf.less(before, room)));
}

/** By which numbers are compared, of every element. */
function ranksOf(values: Tensor2D): Tensor2D {
  const isNaN = tf.notEqual(values, values);
  return tf.where(isNaN, tf.fill([1, 1], Infinity), tf.minimum<Tensor2D>(values, LARGEST_FLOAT32));
}
