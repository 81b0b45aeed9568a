/** Training: the parameters of a transcoder set, one JumpReLU transcoder a layer with a threshold for each feature. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor1D, Tensor2D } from '../backend/backend.ts';
import { aboveThreshold } from '../transcoder/activations/threshold.ts';
import { normalizeRows } from './adamw.ts';
import type { Parameter, Variables } from './parameters.ts';

/** Arrays of one layer. `threshold` and `silentSteps` have no gradient; they are steered after each step. */
export interface TranscoderParameters {
  readonly layer: number;
  readonly W_enc: Parameter;
  readonly b_enc: Parameter;
  readonly W_dec: Parameter;
  readonly b_dec: Parameter;
  readonly threshold: Parameter;
  /** Steps since a feature was last active. */
  readonly silentSteps: Parameter;
}

const FIRST_THRESHOLD = 0.5;

export function transcoderParameters(
  layer: number,
  d_transcoder: number,
  d_model: number,
): TranscoderParameters {
  const parameter = (name: string, shape: readonly number[], decays: boolean, fill = 0): Parameter => ({
    name: `transcoder.${layer}.${name}`,
    shape,
    values: new Float32Array(shape.reduce((product, n) => product * n, 1)).fill(fill),
    decays,
  });
  return {
    layer,
    W_enc: parameter('W_enc', [d_transcoder, d_model], true),
    b_enc: parameter('b_enc', [d_transcoder], false),
    W_dec: { ...parameter('W_dec', [d_transcoder, d_model], false), unitRows: true },
    b_dec: parameter('b_dec', [d_model], false),
    threshold: { ...parameter('threshold', [d_transcoder], false, FIRST_THRESHOLD), isSteered: true },
    silentSteps: { ...parameter('silentSteps', [d_transcoder], false), isSteered: true },
  };
}

export function listOf({
  W_enc,
  b_enc,
  W_dec,
  b_dec,
  threshold,
  silentSteps,
}: TranscoderParameters): Parameter[] {
  return [W_enc, b_enc, W_dec, b_dec, threshold, silentSteps];
}

/**
 * Sets a feature to one token: its encoder row reads the direction of the token's input x, and at that token it writes `share`
 * of the vector `wanted`.
 */
export function aimFeature(
  { W_enc, b_enc, W_dec, silentSteps }: TranscoderParameters,
  feature: number,
  x: Float32Array,
  wanted: Float32Array,
  share = 1,
): void {
  const d_model = x.length;
  const row = feature * d_model;
  const length = share * Math.hypot(...wanted);
  const square = x.reduce((sum, value) => sum + value * value, 0);
  W_enc.values.set(
    x.map((value) => (value * length) / square),
    row,
  );
  b_enc.values[feature] = 0;
  const direction = W_dec.values.subarray(row, row + d_model);
  direction.set(wanted);
  normalizeRows(direction, d_model);
  silentSteps.values[feature] = 0;
}

/** Tensors of one layer. */
export interface LayerTranscoder {
  readonly W_enc: Tensor2D;
  readonly b_enc: Tensor1D;
  readonly W_dec: Tensor2D;
  readonly b_dec: Tensor1D;
  readonly threshold: Tensor1D;
}

export function transcoderOfVariables(
  parameters: TranscoderParameters,
  variables: Variables,
): LayerTranscoder {
  return {
    W_enc: variables.get(parameters.W_enc.name),
    b_enc: variables.get(parameters.b_enc.name),
    W_dec: variables.get(parameters.W_dec.name),
    b_dec: variables.get(parameters.b_dec.name),
    threshold: variables.get(parameters.threshold.name),
  };
}

/** Activations [n, d_transcoder] of inputs x [n, d_model]: the pre-activation where it is above the threshold, else 0. */
export function encode(transcoder: LayerTranscoder, x: Tensor2D): Tensor2D {
  return jumpRelu(preActivations(transcoder, x), transcoder.threshold);
}

export function preActivations({ W_enc, b_enc }: LayerTranscoder, x: Tensor2D): Tensor2D {
  return tf.add<Tensor2D>(tf.matMul(x, W_enc, false, true), b_enc);
}

/** The gradient passes where a feature is active. Thresholds get none: they are steered. */
function jumpRelu(pre: Tensor2D, threshold: Tensor1D): Tensor2D {
  const jump = tf.customGrad((x, save) => {
    const active = tf.cast(tf.greater(x as Tensor2D, threshold), 'float32');
    (save as tf.GradSaveFunc)([active]);
    return {
      value: aboveThreshold(x as Tensor2D, threshold),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => tf.mul(dy, saved[0]!),
    };
  });
  return jump(pre);
}

/** What features write, [n, d_model]. */
export function decode({ W_dec, b_dec }: LayerTranscoder, features: Tensor2D): Tensor2D {
  return tf.add(tf.matMul(features, W_dec), b_dec);
}
