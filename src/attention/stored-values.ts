/** Attention: values of heads that sources make, by layer, kept while targets are walked past them. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor1D, Tensor2D, Tensor3D } from '../backend/backend.ts';
import { walkForth } from './forward.ts';
import { forwardBatches, type ForwardBatch } from './forward-batch.ts';
import type { TracedPrompt } from './traced-prompt.ts';

/** Values at one layer, of the first rows of a store. They stay the store's. */
export interface LayerValues {
  /** Without the divisor of ln1, [n_pos - firstPosition, n, n_kv_heads · d_head]. */
  readonly all: Tensor3D;
  /** Of the sources with all attention cut, at their own positions, [n, n_kv_heads · d_head]; null where it was not asked for. */
  readonly own: Tensor2D | null;
}

/** Of sources that were walked together. Dispose it after use. */
export class StoredValues implements Disposable {
  readonly sources: Int32Array;
  readonly firstPosition: number;
  /** Own positions, [n]. */
  readonly positions: Int32Array;
  private readonly layers: (LayerValues | undefined)[];

  constructor(
    { sources, firstPosition }: ForwardBatch,
    positions: Int32Array,
    layers: (LayerValues | undefined)[],
  ) {
    this.sources = sources;
    this.firstPosition = firstPosition;
    this.positions = positions;
    this.layers = layers;
  }

  at(layer: number): LayerValues | undefined {
    return this.layers[layer];
  }

  [Symbol.dispose](): void {
    for (const values of this.layers) {
      values?.all.dispose();
      values?.own?.dispose();
    }
  }
}

/** Values of sources that have a position. Dispose each after use. */
export async function* storedValues(
  prompt: TracedPrompt,
  sources: Int32Array,
): AsyncGenerator<StoredValues, void, undefined> {
  const { list, linear, n_pos } = prompt;
  const { n_layers, d_model } = prompt.replacement.model.config;
  for (const batch of forwardBatches(list, sources, n_pos, d_model)) {
    const layers: (LayerValues | undefined)[] = [];
    const positions = batch.sources.map((source) => list.describe(source).position!);
    const store = new StoredValues(batch, positions, layers);
    try {
      const options = { stop: n_layers - 1, n_pos, withOwn: true, withValues: true };
      await walkForth(prompt, batch, options, async (layer, { values, own }) => {
        using attention = await linear.attention(layer);
        const all = values!.clone();
        const alone = tf.tidy(() => attention.values(tf.expandDims<Tensor3D>(own!, 0)));
        layers[layer] = { all, own: tf.reshape(alone, [alone.shape[1], alone.shape[2]]) };
        alone.dispose();
      });
    } catch (error) {
      store[Symbol.dispose]();
      throw error;
    }
    yield store;
  }
}

/** What heads take of the whole pass, constants included, as if it were one source. Dispose it after use. */
export function passValues(prompt: TracedPrompt): StoredValues {
  const { blocks } = prompt.replacement.model.weights;
  const layers = blocks.map(({ foldedValueBias, norms }, layer): LayerValues => {
    const v = prompt.at<Tensor3D>(layer, 'attn.hook_v');
    const [n_pos, n_kv_heads, d_head] = v.shape;
    const all = tf.tidy(() => {
      const flat = tf.reshape<tf.Rank.R3>(v, [n_pos, 1, n_kv_heads * d_head]);
      const whole = foldedValueBias ? tf.add<Tensor3D>(flat, foldedValueBias) : flat;
      // The map divides by the divisor of ln1, which these have been divided by.
      const divisors: Tensor1D | null = norms.ln1 ? prompt.at(layer, 'ln1.hook_scale') : null;
      return divisors ? tf.mul<Tensor3D>(whole, tf.reshape(divisors, [n_pos, 1, 1])) : whole.clone();
    });
    return { all, own: null };
  });
  return new StoredValues({ sources: Int32Array.of(-1), firstPosition: 0 }, Int32Array.of(0), layers);
}
