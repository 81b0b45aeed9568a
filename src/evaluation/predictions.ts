/**
 * Evaluation: cross-entropy of the next token, and how far predictions are from those of the original model. Logits are made in
 * blocks of rows; those of one stream and of the original are in memory at a time.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor1D, Tensor2D } from '../backend/backend.ts';
import { yieldToEventLoop } from '../backend/event-loop.ts';
import { unembedded } from '../model/logit-blocks.ts';
import type { Transformer } from '../model/transformer.ts';
import type { Batch } from '../training/batch.ts';
import { NO_HOOKS } from '../training/pass.ts';
import { rowsAt } from '../training/capture.ts';
import { OwnedTensors } from './owned-tensors.ts';

/** Sums over the predictions of a batch, in nats. */
export interface PredictionSums {
  readonly crossEntropy: number;
  /** KL(original ‖ stream); 0 where nothing is compared. */
  readonly divergence: number;
}

/** Numbers of a tensor as wide as the vocabulary: 32 MiB. A few of them are in memory. */
const BLOCK_NUMBERS = 8 * 2 ** 20;

/**
 * Of each stream, residual streams after the last layer [n_rows · length, d_model].
 * @param isCompared all are compared with the first, which is the original
 */
export async function predictionSums(
  model: Transformer,
  { places, targets }: Batch,
  streams: readonly Tensor2D[],
  { isCompared, signal }: { readonly isCompared: boolean; readonly signal?: AbortSignal | undefined },
): Promise<PredictionSums[]> {
  using owned = new OwnedTensors();
  const rows = streams.map((residual) =>
    owned.own(tf.tidy(() => beforeUnembedding(model, residual, places))),
  );
  const sums = streams.map(() => ({ crossEntropy: 0, divergence: 0 }));
  const atOnce = Math.max(1, Math.floor(BLOCK_NUMBERS / model.config.d_vocab));
  using W_U = await model.weights.W_U.acquire();
  for (let start = 0; start < places.length; start += atOnce) {
    const wanted = targets.subarray(start, start + atOnce);
    let original: Tensor2D | undefined;
    using block = new OwnedTensors();
    for (const [i, of] of rows.entries()) {
      await yieldToEventLoop();
      signal?.throwIfAborted();
      const logits = (): Tensor2D => unembedded(model, W_U, of, start, wanted.length, 'logits');
      const own = block.own(tf.tidy(() => logSoftmax(logits())));
      if (isCompared) original ??= own;
      const numbers = block.own(tf.tidy(() => numbersOf(own, wanted, original)));
      const values = await numbers.data<'float32'>();
      for (let j = 0; j < wanted.length; j++) {
        sums[i]!.crossEntropy -= values[j]!;
        sums[i]!.divergence += values[wanted.length + j] ?? 0;
      }
      if (own !== original) block.free(own);
    }
  }
  return sums;
}

/** Log-probabilities of the tokens that come, and behind them, if there is an original, the divergences from it. */
function numbersOf(own: Tensor2D, targets: Int32Array, original: Tensor2D | undefined): Tensor1D {
  const wanted = chosen(own, targets);
  return original ? tf.concat([wanted, divergences(original, own)]) : wanted;
}

function beforeUnembedding({ weights }: Transformer, residual: Tensor2D, places: Int32Array): Tensor2D {
  return weights.ln_final.forward(rowsAt(residual, places), NO_HOOKS, {
    scale: 'ln_final.hook_scale',
    normalized: 'ln_final.hook_normalized',
  });
}

/** [n, d_vocab] */
function logSoftmax(logits: Tensor2D): Tensor2D {
  const shifted = tf.sub<Tensor2D>(logits, tf.max(logits, 1, true));
  return tf.sub(shifted, tf.log(tf.reshape(sumOfRows(tf.exp(shifted)), [-1, 1])));
}

/** Log-probabilities of the tokens that come, [n]. */
function chosen(logProbabilities: Tensor2D, targets: Int32Array): Tensor1D {
  const places = new Int32Array(2 * targets.length);
  for (const [row, target] of targets.entries()) places.set([row, target], 2 * row);
  return tf.gatherND(logProbabilities, tf.tensor2d(places, [targets.length, 2], 'int32')) as Tensor1D;
}

/** Σ p · (log p − log q), [n], of log-probabilities [n, d_vocab]. */
function divergences(original: Tensor2D, other: Tensor2D): Tensor1D {
  return sumOfRows(tf.mul(tf.exp(original), tf.sub(original, other)));
}

const SUMMED_TOGETHER = 512;

/** Sums in two steps: added one by one in float32, small numbers of a large vocabulary would be lost beside the sum. */
function sumOfRows(values: Tensor2D): Tensor1D {
  const [n, width] = values.shape;
  const groups = Math.ceil(width / SUMMED_TOGETHER);
  const padded = tf.pad(values, [
    [0, 0],
    [0, groups * SUMMED_TOGETHER - width],
  ]);
  return tf.sum(tf.sum(tf.reshape(padded, [n, groups, SUMMED_TOGETHER]), 2), 1);
}
