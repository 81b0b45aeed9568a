/** Transcoder activations that look at one feature at a time: ReLU, JumpReLU, and BatchTopK as it is used after training. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor2D } from '../../backend/backend.ts';
import type { Activation, FeatureActivations } from './activation.ts';

/** The value where it is greater than 0. */
export function relu(): Activation {
  return {
    kind: 'relu',
    k: null,
    threshold: null,
    needsAll: false,
    rule: { kind: 'above', thresholds: Float32Array.of(0) },
    on: () => above(tf.scalar(0)),
  };
}

/** The unchanged value where it is strictly greater than the feature's threshold [d_transcoder]. */
export function jumpRelu(threshold: Float32Array, kind: 'jumprelu' | 'batchtopk' = 'jumprelu'): Activation {
  return {
    kind,
    k: null,
    threshold,
    needsAll: false,
    rule: { kind: 'above', thresholds: threshold },
    on: (features) => above(tf.tensor1d(features ? ofFeatures(threshold, features) : threshold)),
  };
}

/**
 * BatchTopK after training: the choice among a batch is replaced by one threshold for all features, after ReLU (Bussmann et al.
 * 2024), so that a position does not depend on the others.
 */
export function batchTopK(threshold: Float32Array): Activation {
  return jumpRelu(notNegative(threshold), 'batchtopk');
}

/** ReLU first, then the threshold, as SAELens has it: what lies between a negative threshold and 0 is not active. */
export function positiveJumpRelu(threshold: Float32Array): Activation {
  return jumpRelu(notNegative(threshold));
}

function notNegative(threshold: Float32Array): Float32Array {
  return threshold.map((value) => Math.max(value, 0));
}

function ofFeatures(threshold: Float32Array, features: Int32Array): Float32Array {
  return Float32Array.from(features, (f) => threshold[f]!);
}

function above(threshold: Tensor): FeatureActivations {
  return {
    needsAll: false,
    of: (pre) => aboveThreshold(pre, threshold),
    [Symbol.dispose]: () => threshold.dispose(),
  };
}

/** Values where they are greater than a threshold, or NaN; 0 elsewhere. */
export function aboveThreshold(pre: Tensor2D, threshold: Tensor): Tensor2D {
  return tf.where(tf.lessEqual(pre, threshold), tf.zerosLike(pre), pre);
}
