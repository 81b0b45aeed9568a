/** Features, building: the tokens that decoders promote and suppress, for many features at once. */
import * as tf from '@tensorflow/tfjs-core';
import { yieldToEventLoop } from '../backend/event-loop.ts';
import { largestIndices } from '../model/logits.ts';
import { logitEffects } from '../model/token-effects.ts';
import type { Tensor2D } from '../backend/backend.ts';
import type { ReplacementModel } from '../replacement/replacement-model.ts';

/** Effects that are held at once. */
const EFFECT_BYTES = 64 * 2 ** 20;
const NUMBER_BYTES = 4;

export interface DecoderTokens {
  /** Token ids, the largest effect first. */
  readonly promoted: readonly number[];
  /** Token ids, the most negative effect first. */
  readonly suppressed: readonly number[];
}

/**
 * For each feature of a layer in turn, the k tokens whose logits its decoder raises and lowers most, relative to the mean
 * over the vocabulary: the same effects as `tracer inspect --feature` shows.
 */
export async function* decoderTokens(
  replacement: ReplacementModel,
  layer: number,
  n_features: number,
  k: number,
  signal?: AbortSignal,
): AsyncGenerator<DecoderTokens, void, undefined> {
  const { weights, config } = replacement.model;
  const atOnce = Math.max(1, Math.floor(EFFECT_BYTES / NUMBER_BYTES / config.d_vocab));
  using unembedding = await weights.W_U.acquire();
  for (let start = 0; start < n_features; start += atOnce) {
    await yieldToEventLoop();
    signal?.throwIfAborted();
    const n = Math.min(atOnce, n_features - start);
    const written = await writtenVectors(
      replacement,
      layer,
      Int32Array.from({ length: n }, (_, i) => start + i),
    );
    const effects = tf.tidy(() => logitEffects(unembedding, weights.ln_final.linear(written)));
    written.dispose();
    let values: Float32Array;
    try {
      values = await effects.data<'float32'>();
    } finally {
      effects.dispose();
    }
    for (let i = 0; i < n; i++) {
      const row = values.subarray(i * config.d_vocab, (i + 1) * config.d_vocab);
      yield {
        promoted: largestIndices(row, k),
        suppressed: largestIndices(
          row.map((value) => -value),
          k,
        ),
      };
    }
  }
}

/**
 * What features write into the residual stream, over all layers they write into, [features.length, d_model]. Where they write before
 * a norm, its gain is applied and its divisor, which depends on the prompt, is not. Belongs to the caller.
 */
async function writtenVectors(
  replacement: ReplacementModel,
  layer: number,
  features: Int32Array,
): Promise<Tensor2D> {
  const { transcoders, model } = replacement;
  const { d_model } = model.config;
  let sum = tf.zeros<tf.Rank.R2>([features.length, d_model]);
  for (let written = layer; written <= transcoders.lastLayerWritten(layer); written++) {
    const rows = await transcoders.decoderRows(layer, features, written);
    const before = sum;
    sum = tf.tidy(() => {
      const own = tf.tensor2d(rows, [features.length, d_model]);
      return tf.add<Tensor2D>(before, replacement.normBehind(written)?.linear(own) ?? own);
    });
    before.dispose();
  }
  return sum;
}
