/** Transcoder: a loaded set. Encodes feature inputs, gives out rows of active features; decoders stay on disk. */
import * as tf from '@tensorflow/tfjs-core';
import type { Backend, HeldWeight, Tensor1D, Tensor2D, Weight } from '../backend/backend.ts';
import { MemoryBudget } from '../backend/budget.ts';
import { weightSource } from '../backend/weight-source.ts';
import { firstNonFinite, widen } from '../formats/dtype.ts';
import { findNotFinite, notFinite } from '../model/not-finite.ts';
import { activeFeatures, type Activation, type LayerFeatures } from './activation.ts';
import type { OpenedSet } from './open.ts';
import { readActivation, readVector } from './read-vectors.ts';
import type { SetConfig } from './set-config.ts';
import type { LayerSource, Located } from './sources/source.ts';

/** The transcoder of one layer. */
export interface Transcoder {
  readonly layer: number;
  readonly activation: Activation;
  /** [d_transcoder, d_model] */
  readonly W_enc: Weight;
  readonly b_enc: Tensor1D;
  readonly b_dec: Tensor1D;
  readonly W_skip: Weight | null;
  readonly source: LayerSource;
}

/** A loaded set. Dispose it before the opened set that it reads from. */
export class TranscoderSet implements Disposable {
  readonly config: SetConfig;
  readonly name: string;
  readonly n_layers: number;
  readonly d_transcoder: number;
  readonly layers: readonly Transcoder[];

  constructor(opened: OpenedSet, layers: readonly Transcoder[]) {
    this.config = opened.config;
    this.name = opened.name;
    this.n_layers = layers.length;
    this.d_transcoder = opened.d_transcoder;
    this.layers = layers;
  }

  /** x · W_encᵀ + b_enc, [pos, d_transcoder], of feature inputs x [pos, d_model]. Belongs to the caller. */
  async preActivations(layer: number, x: Tensor2D): Promise<Tensor2D> {
    const { W_enc, b_enc } = this.layers[layer]!;
    using held = await W_enc.acquire();
    return tf.tidy(() => tf.add<Tensor2D>(held.matMul(x, { transpose: true }), b_enc));
  }

  /**
   * Active features of a layer; positions before `firstPosition` count as inactive. Throws `BadFileError` when
   * pre-activations are not finite because the encoder holds such numbers.
   */
  async encode(layer: number, x: Tensor2D, firstPosition = 0): Promise<LayerFeatures> {
    const pre = await this.preActivations(layer, x);
    try {
      const values = (await pre.data()) as Float32Array;
      if (firstNonFinite(values) >= 0) await this.checkEncoder(layer);
      return activeFeatures(
        values,
        x.shape[0],
        this.d_transcoder,
        this.layers[layer]!.activation,
        firstPosition,
      );
    } finally {
      pre.dispose();
    }
  }

  private async checkEncoder(layer: number): Promise<void> {
    const { file, info } = this.layers[layer]!.source.W_enc;
    const bad = await findNotFinite(file, [info.name]);
    if (bad !== undefined) throw notFinite(file.name, bad);
  }

  /** Encoder rows of features, float32 [features.length, d_model]. Belongs to the caller. */
  encoderRows(layer: number, features: Int32Array): Promise<Tensor2D> {
    return this.layers[layer]!.W_enc.rows(features);
  }

  /** The last layer that features of `layer` write into; the first is `layer` itself. */
  lastLayerWritten(layer: number): number {
    return layer + this.layers[layer]!.source.n_written_layers - 1;
  }

  /** Decoder rows of features of `layer` for the layer they write into, float32 [features.length, d_model], from disk. */
  async decoderRows(layer: number, features: Int32Array, written: number = layer): Promise<Float32Array> {
    const { W_dec, n_written_layers } = this.layers[layer]!.source;
    const slice = written - layer;
    if (slice < 0 || slice >= n_written_layers)
      throw new Error(`layer ${layer} does not write into layer ${written}`);
    const rows = features.map((feature) => feature * n_written_layers + slice);
    return widen(await W_dec.file.readVectors(W_dec.info.name, rows), W_dec.info.dtype);
  }

  /** What the skip connection of a layer adds, x · W_skipᵀ [pos, d_model]; null without one. Belongs to the caller. */
  async skip(layer: number, x: Tensor2D): Promise<Tensor2D | null> {
    using held = await this.acquireSkip(layer);
    return held ? held.matMul(x, { transpose: true }) : null;
  }

  async acquireSkip(layer: number): Promise<HeldWeight | null> {
    return (await this.layers[layer]!.W_skip?.acquire()) ?? null;
  }

  [Symbol.dispose](): void {
    for (const { W_enc, b_enc, b_dec, W_skip } of this.layers) {
      W_enc[Symbol.dispose]();
      b_enc.dispose();
      b_dec.dispose();
      W_skip?.[Symbol.dispose]();
    }
  }
}

export interface LoadSetOptions {
  /** Reads the encoders now instead of when they are first used. */
  readonly preload?: boolean;
  readonly budget?: MemoryBudget;
  readonly signal?: AbortSignal;
  readonly onProgress?: (doneLayers: number, totalLayers: number) => void;
}

/**
 * Reads biases and thresholds of a set. Encoders and skips are read when they are first used and kept (with `preload`: read
 * now); those beyond the budget are read again on every use.
 */
export async function loadSet(
  backend: Backend,
  opened: OpenedSet,
  options: LoadSetOptions = {},
): Promise<TranscoderSet> {
  const budget = options.budget ?? new MemoryBudget();
  const layers: Transcoder[] = [];
  try {
    for (const source of opened.layers) {
      options.signal?.throwIfAborted();
      layers.push(await loadLayer(backend, source, opened.config, budget, options.preload ?? false));
      options.onProgress?.(layers.length, opened.layers.length);
    }
    return new TranscoderSet(opened, layers);
  } catch (error) {
    new TranscoderSet(opened, layers)[Symbol.dispose]();
    throw error;
  }
}

async function loadLayer(
  backend: Backend,
  source: LayerSource,
  config: SetConfig,
  budget: MemoryBudget,
  preload: boolean,
): Promise<Transcoder> {
  const activation = await readActivation(source, config);
  const b_enc = await readVector(source.b_enc);
  const b_dec = await readVector(source.b_dec);
  const load = async ({ file, info }: Located, transposed: boolean): Promise<Weight> => {
    const weight = weightSource(file, info, transposed);
    if (!budget.take(info.byteLength)) return backend.streamWeight(weight);
    return preload ? await backend.loadWeight(weight) : backend.lazyWeight(weight);
  };
  const W_enc = await load(source.W_enc, source.W_enc.transposed);
  try {
    const W_skip = source.W_skip ? await load(source.W_skip, false) : null;
    return {
      layer: source.layer,
      activation,
      W_enc,
      b_enc: tf.tensor1d(b_enc),
      b_dec: tf.tensor1d(b_dec),
      W_skip,
      source,
    };
  } catch (error) {
    W_enc[Symbol.dispose]();
    throw error;
  }
}
