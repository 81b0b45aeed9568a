/**
 * Trainer: inputs and outputs of a layer as coders see them: with mean 0, and squares of mean 1 a dimension. One factor for all
 * dimensions, so that the error of a coder is that of the outputs. What is written has both folded in.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../backend/backend.ts';
import type { Batch } from './batches.ts';
import type { LayerBatch } from './gradients.ts';

/** x is used as (x − mean) / scale. */
export interface Normalisation {
  /** [d_model] */
  readonly mean: Float32Array;
  readonly scale: number;
}

export interface LayerNormalisation {
  readonly x: Normalisation;
  readonly y: Normalisation;
}

/** Of values [n · d_model]. */
export function normalisationOf(values: Float32Array, d_model: number): Normalisation {
  const n = values.length / d_model;
  const mean = new Float64Array(d_model);
  for (let i = 0; i < values.length; i++) mean[i % d_model]! += values[i]! / n;
  let squares = 0;
  for (let i = 0; i < values.length; i++) squares += (values[i]! - mean[i % d_model]!) ** 2;
  const scale = Math.sqrt(squares / values.length);
  // Values that do not vary stay as they are, less their mean.
  return { mean: Float32Array.from(mean), scale: Math.fround(scale > 0 ? scale : 1) };
}

/** Rows at places of values [n · d_model], normalised; [places.length, d_model]. Belongs to the caller. */
export function normalised(
  values: Float32Array,
  places: Int32Array,
  { mean, scale }: Normalisation,
): Tensor2D {
  const d_model = mean.length;
  const rows = new Float32Array(places.length * d_model);
  for (const [i, place] of places.entries()) {
    rows.set(values.subarray(place * d_model, (place + 1) * d_model), i * d_model);
  }
  return tf.tidy(() => {
    const raw = tf.tensor2d(rows, [places.length, d_model]);
    return tf.mul<Tensor2D>(tf.sub(raw, tf.tensor1d(mean)), 1 / scale);
  });
}

/** Inputs and outputs of the coders' layers at the tokens of a batch, by layer. Tensors belong to the caller. */
export function layerBatches(
  layers: readonly { readonly layer: number }[],
  { block, places }: Batch,
  normalisations: ReadonlyMap<number, LayerNormalisation>,
): Map<number, LayerBatch> {
  return new Map(
    layers.map(({ layer }) => {
      const { x, y } = block.layers.get(layer)!;
      const of = normalisations.get(layer)!;
      return [layer, { x: normalised(x, places, of.x), y: normalised(y, places, of.y) }];
    }),
  );
}
