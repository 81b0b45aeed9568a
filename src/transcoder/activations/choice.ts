/**
 * Transcoder activations that choose among the features of a position: TopK and GroupMax. Of equal values the one of the smaller
 * index is chosen; NaN is larger than any number, as in PyTorch's topk, which leaves open which of equal values it takes.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../../backend/backend.ts';
import { firstNonFinite } from '../../formats/dtype.ts';
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
    active(row, emit) {
      const size = row.length / groups;
      for (let start = 0; start < row.length; start += size) {
        for (const f of largest(row.subarray(start, start + size), kept)) {
          const value = row[start + f]!;
          if (value !== 0 && !(isPositive && value < 0)) emit(start + f, value);
        }
      }
    },
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

/** Indices of the k largest values, ascending. */
function largest(row: Float32Array, k: number): number[] {
  if (k >= row.length) return Array.from(row.keys());
  const ranks = firstNonFinite(row) < 0 ? row : row.map(rankOf);
  const cut = kthLargest(ranks, k);
  let room = k; // number of values equal to `cut` that still fit
  for (const rank of ranks) if (rank > cut) room--;
  const chosen: number[] = [];
  for (let f = 0; f < row.length; f++) {
    if (ranks[f]! > cut || (ranks[f] === cut && room-- > 0)) chosen.push(f);
  }
  return chosen;
}

/** The same on tensors [n, m]: the k largest of each row, 0 elsewhere. Equal values are counted, since engines order them as they like. */
function keepLargest(values: Tensor2D, k: number): Tensor2D {
  if (k >= values.shape[1]) return values;
  const ranks = ranksOf(values);
  const best = tf.topk(ranks, k).values; // [n, k], descending
  const cut = tf.slice(best, [0, k - 1], [-1, 1]);
  const isAbove = tf.greater(ranks, cut);
  const isEqual = tf.equal(ranks, cut);
  const room = tf.sub(k, tf.sum(tf.cast(isAbove, 'float32'), 1, true));
  const before = tf.cumsum(tf.cast(isEqual, 'float32'), 1, true);
  const isChosen = tf.logicalOr(isAbove, tf.logicalAnd(isEqual, tf.less(before, room)));
  return tf.where(isChosen, values, tf.zerosLike(values));
}

const LARGEST_FLOAT32 = (2 - 2 ** -23) * 2 ** 127;

/** The number that a value is compared by: that of NaN is above that of infinity. */
function rankOf(value: number): number {
  return Number.isNaN(value) ? Infinity : Math.min(value, LARGEST_FLOAT32);
}

/** `rankOf` of every element. */
function ranksOf(values: Tensor2D): Tensor2D {
  const isNaN = tf.notEqual(values, values);
  return tf.where(isNaN, tf.fill([1, 1], Infinity), tf.minimum<Tensor2D>(values, LARGEST_FLOAT32));
}

/** Keeps the k largest seen so far in ascending order: most values are smaller than all of them and cost one comparison. */
function kthLargest(row: Float32Array, k: number): number {
  const best = new Float32Array(k).fill(-Infinity);
  for (const value of row) {
    if (!(value > best[0]!)) continue;
    let at = 1;
    while (at < k && best[at]! < value) {
      best[at - 1] = best[at]!;
      at++;
    }
    best[at - 1] = value;
  }
  return best[0]!;
}
