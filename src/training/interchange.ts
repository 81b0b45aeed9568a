/**
 * Training: interchange (Geiger et al., 2022). Prompts of one wording that differ in one token: the features at that token
 * are set to those of another prompt, and the answer asked for is the other prompt's. It makes what is looked up at the
 * token sufficient in the features.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../backend/backend.ts';
import { batchOf, type Batch } from './batch.ts';
import { capturingPass, rowsAt } from './capture.ts';
import type { BatchModel } from './model-parameters.ts';
import { predictionLoss } from './pass.ts';
import { encode, type LayerTranscoder } from './transcoder-parameters.ts';

/** Prompts of one wording: of the same length, different at `position` alone. */
export interface Wordings {
  readonly prompts: readonly (readonly number[])[];
  readonly position: number;
}

export interface Interchange extends Wordings {
  /** The same subjects in another wording, where features are taken from it: what is looked up is to be the same in both. */
  readonly donors: Wordings | null;
  /** [n, n]: row r says of which subjects' features the features of prompt r become the mean. */
  readonly sources: Float32Array;
  /** The token that each prompt is then to be followed by. */
  readonly answers: Int32Array;
}

/** Mean loss of the answers under the exchanged features, the MLPs' errors staying as they are. */
export function interchangeLoss(
  model: BatchModel,
  transcoders: readonly LayerTranscoder[],
  { prompts, position, donors, sources, answers }: Interchange,
  n_silent: number,
): tf.Scalar {
  const batch = batchOf(prompts);
  const { n_rows: n, length } = batch;
  const places = (at: number): Int32Array => placesAt(batch, at);
  const changed = places(position);
  const mix = tf.tensor2d(sources, [n, n]);
  const from = donors ? batchOf(donors.prompts) : batch;
  const read = placesAt(from, donors ? donors.position : position);
  const own = capturingPass(model, from);
  const wanted = transcoders.map((transcoder, l) =>
    tf.matMul(mix, encode(transcoder, rowsAt(own.inputs[l]!, read))),
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

/** The places of one position in every row of a batch. */
function placesAt({ n_rows, length }: Batch, position: number): Int32Array {
  return Int32Array.from({ length: n_rows }, (_, r) => r * length + position);
}
