/** Training: a pass in which features write what MLPs would. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../backend/backend.ts';
import type { Batch } from './batch.ts';
import { capturingPass, type MlpValues } from './capture.ts';
import type { BatchModel } from './model-parameters.ts';
import { decode, encode, type LayerTranscoder } from './transcoder-parameters.ts';

/** The last residual stream when features write what MLPs would, except at the first token of a row. */
export function replacedPass(
  model: BatchModel,
  transcoders: readonly LayerTranscoder[],
  batch: Batch,
  plain: MlpValues,
): Tensor2D {
  return withOutputs(model, batch, plain, (layer, input) =>
    decode(transcoders[layer]!, encode(transcoders[layer]!, input)),
  );
}

/** The last residual stream when MLPs write `written`, except at the first token of a row. */
export function withOutputs(
  model: BatchModel,
  batch: Batch,
  plain: MlpValues,
  written: (layer: number, input: Tensor2D) => Tensor2D,
): Tensor2D {
  const { n_rows, length } = batch;
  const first = new Uint8Array(n_rows * length);
  for (let row = 0; row < n_rows; row++) first[row * length] = 1;
  const isFirst = tf.tensor2d(first, [n_rows * length, 1], 'bool');
  return capturingPass(model, batch, (layer, input, _output) => {
    // The first token attends only to itself, so that its MLPs write the same in both passes and in every row.
    const atFirst = tf.slice<tf.Rank.R2, Tensor2D>(plain.outputs[layer]!, [0, 0], [1, -1]);
    return tf.where(isFirst, atFirst, written(layer, input));
  }).residual;
}
