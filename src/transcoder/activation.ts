/** Transcoder: from pre-activations to activations, on plain arrays and on tensors, by the same rules. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor2D } from '../backend/backend.ts';
import { unreachable } from '../errors.ts';
import { firstNonFinite } from '../formats/dtype.ts';

/**
 * The activation function of a layer's transcoder. NaN stays NaN and is active, so that a damaged encoder is noticed and does
 * not look like inactive features.
 */
export type Activation =
  | { readonly kind: 'relu' }
  /** One threshold a feature, [d_transcoder]: the unchanged value where it is strictly greater, else 0. */
  | { readonly kind: 'jumprelu'; readonly threshold: Float32Array }
  /**
   * Exactly k values of a position, negative ones included: the largest, of equal ones those of the smaller index. NaN is
   * larger than any number, as in PyTorch's topk, which leaves open which of equal values it takes.
   */
  | { readonly kind: 'topk'; readonly k: number };

/** Active features of one layer, sorted by position, then feature. */
export interface LayerFeatures {
  readonly positions: Int32Array;
  readonly features: Int32Array;
  readonly values: Float32Array;
}

/**
 * The features whose activation is not exactly 0.
 * @param pre pre-activations [n_pos, d_transcoder], row-major
 * @param firstPosition positions before it count as inactive
 */
export function activeFeatures(
  pre: Float32Array,
  n_pos: number,
  d_transcoder: number,
  activation: Activation,
  firstPosition = 0,
): LayerFeatures {
  const positions: number[] = [];
  const features: number[] = [];
  const values: number[] = [];
  const emit = (position: number, feature: number, value: number): void => {
    positions.push(position);
    features.push(feature);
    values.push(value);
  };
  for (let position = firstPosition; position < n_pos; position++) {
    const row = pre.subarray(position * d_transcoder, (position + 1) * d_transcoder);
    switch (activation.kind) {
      case 'relu':
        for (let f = 0; f < d_transcoder; f++) if (!(row[f]! <= 0)) emit(position, f, row[f]!);
        break;
      case 'jumprelu': {
        const { threshold } = activation;
        for (let f = 0; f < d_transcoder; f++) {
          if (!(row[f]! <= threshold[f]!) && row[f] !== 0) emit(position, f, row[f]!);
        }
        break;
      }
      case 'topk':
        for (const f of largest(row, activation.k)) if (row[f] !== 0) emit(position, f, row[f]!);
        break;
      default:
        unreachable(activation);
    }
  }
  return {
    positions: Int32Array.from(positions),
    features: Int32Array.from(features),
    values: Float32Array.from(values),
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

/** Activations of some features of a layer as tensors. Dispose it, or take it with `using`. */
export interface FeatureActivations extends Disposable {
  /** Whether `of` takes the pre-activations of all features, [n, d_transcoder]; else those of its own, [n, m]. */
  readonly needsAll: boolean;
  /** [n, m], 0 where a feature is not active. Called inside a tidy. */
  of(pre: Tensor2D): Tensor2D;
}

/** @param features [m] */
export function featureActivations(activation: Activation, features: Int32Array): FeatureActivations {
  const owning = (owned: Tensor, needsAll: boolean, of: FeatureActivations['of']): FeatureActivations => ({
    needsAll,
    of,
    [Symbol.dispose]: () => owned.dispose(),
  });
  switch (activation.kind) {
    case 'relu': {
      const threshold = tf.scalar(0);
      return owning(threshold, false, (pre) => aboveThreshold(pre, threshold));
    }
    case 'jumprelu': {
      const threshold = tf.tensor1d(Float32Array.from(features, (f) => activation.threshold[f]!));
      return owning(threshold, false, (pre) => aboveThreshold(pre, threshold));
    }
    case 'topk': {
      const { k } = activation;
      const columns = tf.tensor1d(features, 'int32');
      // The k largest can be found only in the whole row.
      return owning(columns, true, (pre) => {
        const { indices } = tf.topk(ranksOf(pre), Math.min(k, pre.shape[1])); // of equal values the first: [n, k]
        const isChosen = tf.any(
          tf.equal(tf.expandDims(indices, 1), tf.reshape(columns, [1, features.length, 1])),
          2,
        ); // [n, m]
        const values = tf.gather(pre, columns, 1);
        return tf.where(isChosen, values, tf.zerosLike(values));
      });
    }
    default:
      return unreachable(activation);
  }
}

/** Values where they are greater than a threshold, or NaN; 0 elsewhere. */
export function aboveThreshold(pre: Tensor2D, threshold: Tensor): Tensor2D {
  return tf.where(tf.lessEqual(pre, threshold), tf.zerosLike(pre), pre);
}
