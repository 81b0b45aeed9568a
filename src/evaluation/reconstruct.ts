/**
 * Evaluation: what a set makes of its inputs, features and what they write together. Encoders work on blocks of positions and
 * decoders on blocks of active features, whose rows alone are read, so that memory does not grow with the set.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../backend/backend.ts';
import { yieldToEventLoop } from '../backend/event-loop.ts';
import type { LayerFeatures } from '../transcoder/activations/activation.ts';
import type { TranscoderSet } from '../transcoder/transcoder-set.ts';

/** Numbers of a tensor that is made of a block: 64 MiB. */
const BLOCK_NUMBERS = 16 * 2 ** 20;
/** Fewer positions at a time would make products slow. */
const FEWEST_POSITIONS = 16;

/** Active features by the layer that they belong to. */
export type FeatureHistory = ReadonlyMap<number, LayerFeatures>;

/** Active features of a layer, of feature inputs x [n, d_model]. Errors as `TranscoderSet.encode`. */
export async function encodeInBlocks(
  d_transcoder: number,
  x: Tensor2D,
  encode: (rows: Tensor2D) => Promise<LayerFeatures>,
  signal?: AbortSignal,
): Promise<LayerFeatures> {
  const [n, d_model] = x.shape;
  const atOnce = Math.max(FEWEST_POSITIONS, Math.floor(BLOCK_NUMBERS / d_transcoder));
  if (n <= atOnce) return await encode(x);
  const parts: { start: number; features: LayerFeatures }[] = [];
  for (let start = 0; start < n; start += atOnce) {
    await yieldToEventLoop();
    signal?.throwIfAborted();
    const rows = tf.slice<tf.Rank.R2, Tensor2D>(x, [start, 0], [Math.min(atOnce, n - start), d_model]);
    try {
      parts.push({ start, features: await encode(rows) });
    } finally {
      rows.dispose();
    }
  }
  return joined(parts);
}

function joined(parts: readonly { start: number; features: LayerFeatures }[]): LayerFeatures {
  const n = parts.reduce((sum, { features }) => sum + features.values.length, 0);
  const all = {
    positions: new Int32Array(n),
    features: new Int32Array(n),
    values: new Float32Array(n),
  };
  let at = 0;
  for (const { start, features } of parts) {
    all.positions.set(
      features.positions.map((position) => start + position),
      at,
    );
    all.features.set(features.features, at);
    all.values.set(features.values, at);
    at += features.values.length;
  }
  return all;
}

/** A place where features write instead of an MLP: its feature inputs [n, d_model], and features of this and earlier layers. */
export interface Written {
  readonly input: Tensor2D;
  readonly features: FeatureHistory;
}

/**
 * What features, decoder bias and skip write into a layer, [n, d_model] for each of `places`; they belong to the caller. Several
 * places share what is read of the decoders.
 */
export async function reconstruct(
  transcoders: TranscoderSet,
  layer: number,
  places: readonly Written[],
  signal?: AbortSignal,
): Promise<Tensor2D[]> {
  const { b_dec } = transcoders.at(layer)!;
  const sums: Tensor2D[] = [];
  try {
    for (const { input } of places) {
      const skip = await transcoders.skip(layer, input);
      sums.push(tf.tidy(() => tf.add(skip ?? tf.zerosLike(input), b_dec)));
      skip?.dispose();
    }
    for (const source of transcoders.layers) {
      if (source.layer > layer || transcoders.lastLayerWritten(source.layer) < layer) continue;
      const active = places.map(({ features }) => features.get(source.layer)!);
      for (const block of blocksOf(active, source.W_enc.shape, sums[0]!.shape[0])) {
        await yieldToEventLoop();
        signal?.throwIfAborted();
        const rows = await transcoders.decoderRows(source.layer, block, layer);
        tf.tidy(() => {
          const decoder = tf.tensor2d(rows, [block.length, b_dec.shape[0]]);
          for (const [i, features] of active.entries()) {
            const values = activationMatrix(features, block, sums[i]!.shape[0]);
            const sum = tf.add<Tensor2D>(sums[i]!, tf.matMul(values, decoder));
            sums[i]!.dispose();
            sums[i] = tf.keep(sum);
          }
        });
      }
    }
    return sums;
  } catch (error) {
    tf.dispose(sums);
    throw error;
  }
}

/** The features that are active anywhere, ascending, in blocks. */
function blocksOf(
  active: readonly LayerFeatures[],
  [d_transcoder, d_model]: readonly [number, number],
  n: number,
): Int32Array[] {
  const isActive = new Uint8Array(d_transcoder);
  for (const { features } of active) for (const feature of features) isActive[feature] = 1;
  const all = Int32Array.from(isActive.keys()).filter((feature) => isActive[feature] === 1);
  const atOnce = Math.max(1, Math.floor(BLOCK_NUMBERS / Math.max(d_model, n)));
  return Array.from({ length: Math.ceil(all.length / atOnce) }, (_, i) =>
    all.subarray(i * atOnce, (i + 1) * atOnce),
  );
}

/** Activations [n, block.length] of the features of a block, which are ascending. */
function activationMatrix(
  { positions, features, values }: LayerFeatures,
  block: Int32Array,
  n: number,
): Tensor2D {
  const columns = new Map(Array.from(block, (feature, column) => [feature, column]));
  const matrix = new Float32Array(n * block.length);
  for (let i = 0; i < values.length; i++) {
    const column = columns.get(features[i]!);
    if (column !== undefined) matrix[positions[i]! * block.length + column] = values[i]!;
  }
  return tf.tensor2d(matrix, [n, block.length]);
}
