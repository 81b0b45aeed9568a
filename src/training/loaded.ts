/** Training: a loaded model and its transcoders in the form that a batch pass uses, to measure many prompts at once. */
import * as tf from '@tensorflow/tfjs-core';
import type { HeldWeight } from '../backend/backend.ts';
import { matricesOf, type BlockMatrix } from '../model/block-spec.ts';
import type { ReplacementModel } from '../replacement/replacement-model.ts';
import type { BatchModel } from './model-parameters.ts';
import type { LayerTranscoder } from './transcoder-parameters.ts';

export interface LoadedSubject extends Disposable {
  readonly model: BatchModel;
  readonly transcoders: readonly LayerTranscoder[];
}

/**
 * Acquires all weights. Dispose it before the replacement model. For tied embeddings and JumpReLU transcoders that write
 * into their own layer.
 */
export async function holdSubject({ model, transcoders }: ReplacementModel): Promise<LoadedSubject> {
  const { config, weights } = model;
  const acquired: HeldWeight[] = [];
  const blocks = [];
  for (const stored of weights.blocks) {
    const matrices: Partial<Record<BlockMatrix, HeldWeight>> = {};
    for (const name of matricesOf(config.block)) {
      const held = await stored.matrices[name]!.acquire();
      matrices[name] = held;
      acquired.push(held);
    }
    blocks.push({ ...stored, matrices });
  }
  const all = (n: number): Int32Array => Int32Array.from({ length: n }, (_, i) => i);
  const W_E = await weights.W_E.rows(all(config.d_vocab));
  const layers: LayerTranscoder[] = [];
  for (const { layer, d_transcoder, activation, b_enc, b_dec } of transcoders.layers) {
    const features = all(d_transcoder);
    if (activation.kind !== 'jumprelu' || !activation.threshold)
      throw new Error(`layer ${layer}: ${activation.kind} features are not measured`);
    layers.push({
      W_enc: await transcoders.encoderRows(layer, features),
      W_dec: tf.tensor2d(await transcoders.decoderRows(layer, features), [features.length, config.d_model]),
      threshold: tf.tensor1d(activation.threshold),
      b_enc,
      b_dec,
    });
  }
  return {
    model: { config, W_E, blocks, ln_final: weights.ln_final },
    transcoders: layers,
    [Symbol.dispose]() {
      for (const weight of acquired) weight[Symbol.dispose]();
      W_E.dispose();
      for (const { W_enc, W_dec, threshold } of layers)
        for (const t of [W_enc, W_dec, threshold]) t.dispose();
    },
  };
}
