/** Interventions: activations computed from the transcoders' inputs in one or more passes. Requested values do not replace them. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../backend/backend.ts';
import { yieldToEventLoop } from '../backend/event-loop.ts';
import { ActivationCache } from '../model/activation-cache.ts';
import type { ActiveFeatures, ReplacementModel } from '../replacement/replacement-model.ts';

/** Numbers before the activation function, of all features. */
export interface PreActivations {
  /** [n_layers, pos, d_transcoder], as wide as the widest layer; 0 beyond the features of a layer. */
  readonly values: Float32Array;
  readonly shape: readonly [number, number, number];
}

export interface ObserveOptions {
  /** Positions before it are 0. */
  readonly ignored: number;
  readonly signal?: AbortSignal | undefined;
}

/** Active features of captured feature inputs. */
export async function observeFeatures(
  replacement: ReplacementModel,
  activations: ActivationCache,
  { ignored, signal }: ObserveOptions,
): Promise<ActiveFeatures> {
  return await replacement.encode({ activations }, { firstPosition: ignored, ...(signal && { signal }) });
}

/** Pre-activations of captured feature inputs. */
export async function observePreActivations(
  replacement: ReplacementModel,
  activations: ActivationCache,
  { ignored, signal }: ObserveOptions,
): Promise<PreActivations> {
  const { transcoders } = replacement;
  const n_layers = transcoders.featureCounts.length;
  const widest = transcoders.featureCounts.reduce((a, b) => Math.max(a, b), 0);
  const inputOf = (layer: number): Tensor2D => activations.get<Tensor2D>(replacement.inputHook(layer));
  const n_pos = inputOf(transcoders.layers[0]!.layer).shape[0];
  const values = new Float32Array(n_layers * n_pos * widest);
  for (const { layer, d_transcoder } of transcoders.layers) {
    await yieldToEventLoop();
    signal?.throwIfAborted();
    const pre = await transcoders.preActivations(layer, inputOf(layer));
    try {
      const numbers = await pre.data<'float32'>();
      for (let position = ignored; position < n_pos; position++) {
        const row = numbers.subarray(position * d_transcoder, (position + 1) * d_transcoder);
        values.set(row, (layer * n_pos + position) * widest);
      }
    } finally {
      pre.dispose();
    }
  }
  return { values, shape: [n_layers, n_pos, widest] };
}

/** Feature inputs of passes over consecutive positions as those of one pass. Belongs to the caller. */
export function joinInputs(
  replacement: ReplacementModel,
  passes: readonly ActivationCache[],
): ActivationCache {
  const joined = new ActivationCache();
  for (const { layer } of replacement.transcoders.layers) {
    const name = replacement.inputHook(layer);
    const all = tf.concat(
      passes.map((pass) => pass.get<Tensor2D>(name)),
      0,
    );
    joined.keep(name, all);
    all.dispose();
  }
  return joined;
}
