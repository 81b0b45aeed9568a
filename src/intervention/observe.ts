/** Interventions: activations computed from the transcoders' inputs in one or more passes. Requested values do not replace them. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../backend/backend.ts';
import { yieldToEventLoop } from '../backend/event-loop.ts';
import { ActivationCache } from '../model/activation-cache.ts';
import type { ActiveFeatures, ReplacementModel } from '../replacement/replacement-model.ts';

/** Numbers before the activation function, of all features. */
export interface PreActivations {
  /** [n_layers, pos, d_transcoder] */
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
  const { n_layers, d_transcoder } = transcoders;
  const inputs = Array.from({ length: n_layers }, (_, layer) =>
    activations.get<Tensor2D>(replacement.inputHook(layer)),
  );
  const n_pos = inputs[0]!.shape[0];
  const values = new Float32Array(n_layers * n_pos * d_transcoder);
  for (const [layer, input] of inputs.entries()) {
    await yieldToEventLoop();
    signal?.throwIfAborted();
    const pre = await transcoders.preActivations(layer, input);
    try {
      const own = values.subarray(layer * n_pos * d_transcoder, (layer + 1) * n_pos * d_transcoder);
      own.set(await pre.data<'float32'>());
      own.fill(0, 0, ignored * d_transcoder);
    } finally {
      pre.dispose();
    }
  }
  return { values, shape: [n_layers, n_pos, d_transcoder] };
}

/** Feature inputs of passes over consecutive positions as those of one pass. Belongs to the caller. */
export function joinInputs(
  replacement: ReplacementModel,
  passes: readonly ActivationCache[],
): ActivationCache {
  const joined = new ActivationCache();
  for (let layer = 0; layer < replacement.transcoders.n_layers; layer++) {
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
