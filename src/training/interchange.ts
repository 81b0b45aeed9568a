/**
 * Training: interchange (Geiger et al., 2022). Prompts of one wording that differ in one token: the features at that token
 * are set to those of another prompt, and the answer asked for is the other prompt's. It makes what is looked up at the
 * token sufficient in the features.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../backend/backend.ts';
import { batchOf } from './batch.ts';
import { capturingPass, rowsAt } from './capture.ts';
import type { BatchModel } from './model-parameters.ts';
import { predictionLoss } from './pass.ts';
import { encode, type LayerTranscoder } from './transcoder-parameters.ts';

/** All prompts have the same length and differ at `position` alone. */
export interface Interchange {
  readonly prompts: readonly (readonly number[])[];
  readonly position: number;
  /** [n, n]: row r says of which prompts' features the features of prompt r become the mean. */
  readonly sources: Float32Array;
  /** The token that each prompt is then to be followed by. */
  readonly answers: Int32Array;
}

/** Mean loss of the answers under the exchanged features, the MLPs' errors staying as they are. */
export function interchangeLoss(
  model: BatchModel,
  transcoders: readonly LayerTranscoder[],
  { prompts, position, sources, answers }: Interchange,
  n_silent: number,
): tf.Scalar {
  const batch = batchOf(prompts);
  const { n_rows: n, length } = batch;
  const places = (at: number): Int32Array => Int32Array.from({ length: n }, (_, r) => r * length + at);
  const changed = places(position);
  const mix = tf.tensor2d(sources, [n, n]);
  const own = capturingPass(model, batch);
  const wanted = transcoders.map((transcoder, l) =>
    tf.matMul(mix, encode(transcoder, rowsAt(own.inputs[l]!, changed))),
  );
  const { residual } = capturingPass(model, batch, (layer, input, output) => {
    const transcoder = transcoders[layer]!;
    const present = encode(transcoder, rowsAt(input, changed));
    const change = tf.matMul(tf.sub<Tensor2D>(wanted[layer]!, present), transcoder.W_dec); // [n, d_model]
    const width = model.config.d_model;
    const placed = tf.pad(tf.reshape<tf.Rank.R3>(change, [n, 1, width]), [
      [0, 0],
      [position, length - position - 1],
      [0, 0],
    ]);
    return tf.add(output, tf.reshape(placed, [n * length, width]));
  });
  return predictionLoss(model, residual, { places: places(length - 1), targets: answers, n_silent });
}
