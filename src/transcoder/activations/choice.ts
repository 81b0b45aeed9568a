/**
 * Transcoder activations that choose among the features of a position: TopK and GroupMax. Of equal values the one of the smaller
 * index is chosen; NaN is larger than any number, as in PyTorch's topk, which leaves open which of equal values it takes.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../../backend/backend.ts';
import { areLargest } from '../../backend/largest.ts';
import type { Activation, ActivationKind } from './activation.ts';
import { aboveThreshold } from './threshold.ts';

/** The k largest pre-activations of a position as they are, negative ones included. */
export function topK(k: number): Activation {
  return choosing({ kind: 'topk', k, kept: k, groups: 1, isPositive: false });
}

/** ReLU first, then the k largest: where fewer than k are greater than 0, fewer are active. */
export function positiveTopK(k: number): Activation {
  return choosing({ kind: 'topk', k, kept: k, groups: 1, isPositive: true });
}

/** ReLU first, then the largest of each of k groups of consecutive features, whose number has to be a multiple of k. */
export function groupMax(k: number): Activation {
  return choosing({ kind: 'groupmax', k, kept: 1, groups: k, isPositive: true });
}

/** The `kept` largest of each of `groups` groups of consecutive features. */
interface Choice {
  readonly kind: ActivationKind;
  readonly k: number;
  readonly kept: number;
  readonly groups: number;
  /** Whether ReLU comes first. It changes nothing in the order of what is greater than 0, so it is applied to what was chosen. */
  readonly isPositive: boolean;
}

function choosing({ kind, k, kept, groups, isPositive }: Choice): Activation {
  return {
    kind,
    k,
    threshold: null,
    needsAll: true,
    rule: { kind: 'largest', kept, groups, isPositive },
    on(features) {
      const columns = features && tf.tensor1d(features, 'int32');
      return {
        needsAll: true,
        of(pre) {
          const [n, d_transcoder] = pre.shape;
          const rows = tf.reshape<tf.Rank.R2>(pre, [n * groups, d_transcoder / groups]);
          const chosen = tf.reshape<tf.Rank.R2>(keepLargest(rows, kept), [n, d_transcoder]);
          const positive = isPositive ? aboveThreshold(chosen, tf.scalar(0)) : chosen;
          return columns ? tf.gather(positive, columns, 1) : positive;
        },
        [Symbol.dispose]: () => columns?.dispose(),
      };
    },
  };
}

/** The k largest of each row of values [n, m], 0 elsewhere. */
function keepLargest(values: Tensor2D, k: number): Tensor2D {
  if (k >= values.shape[1]) return values;
  return tf.where(areLargest(values, k), values, tf.zerosLike(values));
}
