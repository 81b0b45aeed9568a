/**
 * Training: the loss on the next token. Gradients are written out: the arrays are as wide as the vocabulary, and autodiff
 * would make three times as many.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../backend/backend.ts';

/**
 * Mean over rows of −log softmax(z)[target], of logits z [n, vocabulary] and `n_silent` further logits of 0. The largest
 * logit of a row is subtracted, so that exp stays finite.
 */
export function crossEntropy(z: Tensor2D, targets: Int32Array, n_silent: number): tf.Scalar {
  const n = z.shape[0];
  const loss = tf.customGrad((x, save) => {
    const largestOwn = tf.max<Tensor2D>(x as Tensor2D, 1, true); // [n, 1]
    const largest = n_silent > 0 ? tf.maximum<Tensor2D>(largestOwn, 0) : largestOwn;
    const exponentials = tf.exp<Tensor2D>(tf.sub(x as Tensor2D, largest));
    const own = tf.sum<Tensor2D>(exponentials, 1, true);
    const sums = n_silent > 0 ? tf.add<Tensor2D>(own, tf.mul(tf.exp(tf.neg(largest)), n_silent)) : own;
    const chosen = tf.gatherND(x as Tensor2D, targetPlaces(targets)); // [n]
    const logSums = tf.squeeze(tf.add(tf.log(sums), largest), [1]);
    (save as tf.GradSaveFunc)([exponentials, sums]);
    return {
      value: tf.mean(tf.sub(logSums, chosen)),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const [powers, total] = saved as [Tensor2D, Tensor2D];
        return tf.mul(errors(powers, total, targets), tf.div(dy, n));
      },
    };
  });
  return loss(z) as tf.Scalar;
}

/**
 * As `crossEntropy`, of logits cap · tanh(z): z are the logits before the cap, divided by it. No maximum is subtracted,
 * because exp(cap) is far from the largest float32.
 */
export function cappedCrossEntropy(
  z: Tensor2D,
  targets: Int32Array,
  cap: number,
  n_silent: number,
): tf.Scalar {
  const n = z.shape[0];
  const loss = tf.customGrad((x, save) => {
    const t = tf.tanh(x as Tensor2D);
    const exponentials = tf.exp(tf.mul(t, cap));
    const sums = tf.add(tf.sum(exponentials, 1, true), n_silent); // [n, 1]
    const chosen = tf.mul(tf.gatherND(t, targetPlaces(targets)), cap); // [n]
    const value = tf.mean(tf.sub(tf.log(tf.squeeze(sums, [1])), chosen));
    (save as tf.GradSaveFunc)([t, exponentials, sums]);
    return {
      value,
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const [tanh, powers, total] = saved as [Tensor2D, Tensor2D, Tensor2D];
        const slope = tf.sub(1, tf.square(tanh));
        return tf.mul(tf.mul(errors(powers, total, targets), slope), tf.mul(dy, cap / n));
      },
    };
  });
  return loss(z) as tf.Scalar;
}

/** Where the target of each row lies in [n, vocabulary], as `gatherND` takes it. */
function targetPlaces(targets: Int32Array): Tensor2D {
  return tf.tensor2d(
    Array.from(targets, (target, row) => [row, target]),
    [targets.length, 2],
    'int32',
  );
}

/** Probabilities minus 1 at the target, [n, vocabulary]: the gradient of a row's loss with respect to its logits. */
function errors(powers: Tensor2D, total: Tensor2D, targets: Int32Array): Tensor2D {
  // Cast here: TF.js' wasm kernel writes integers, also where it is asked for float32.
  const hot = tf.cast(tf.oneHot(tf.tensor1d(targets, 'int32'), powers.shape[1]), 'float32');
  return tf.sub(tf.div(powers, total), hot);
}
