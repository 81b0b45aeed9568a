/** Transcoder: a loaded set. Encodes feature inputs, gives out rows of active features; decoders stay on disk. */
import * as tf from '@tensorflow/tfjs-core';
import type { Backend, HeldWeight, Tensor1D, Tensor2D, Weight } from '../backend/backend.ts';
import { MemoryBudget } from '../backend/budget.ts';
import type { EntryFinder } from '../backend/entries.ts';
import { holdWeight } from '../backend/hold.ts';
import { weightSource } from '../backend/weight-source.ts';
import { widen } from '../formats/dtype.ts';
import { findNotFinite, notFinite } from '../model/not-finite.ts';
import type { Activation, LayerFeatures } from './activations/activation.ts';
import { readActivation, readVector } from './activations/read.ts';
import type { SetDescription } from './description.ts';
import { featureCounts, type OpenedSet } from './open.ts';
import { decoderRow, type LayerSource, type LocatedMatrix } from './sources/source.ts';

/** The transcoder of one layer. */
export interface Transcoder {
  readonly layer: number;
  readonly d_transcoder: number;
  readonly activation: Activation;
  /** Finds active features in pre-activations [pos, d_transcoder]. */
  readonly finder: EntryFinder;
  /** [d_transcoder, d_model] */
  readonly W_enc: Weight;
  readonly b_enc: Tensor1D;
  readonly b_dec: Tensor1D;
  /** [d_model, d_model], applied as x · W_skipᵀ. */
  readonly W_skip: Weight | null;
  readonly source: LayerSource;
}

/**
 * A loaded set. It may lack layers of the model, which then keep their own MLP: whatever is asked about such a layer is answered as
 * for a transcoder without features, bias and skip. Dispose it before the opened set that it reads from.
 */
export class TranscoderSet implements Disposable {
  readonly backend: Backend;
  readonly config: SetDescription;
  readonly name: string;
  /** Those that there are, in the order of their layers. */
  readonly layers: readonly Transcoder[];
  /** Features of each layer of the model, [n_layers]; 0 where there is no transcoder. */
  readonly featureCounts: readonly number[];
  private readonly byLayer: ReadonlyMap<number, Transcoder>;

  constructor(backend: Backend, opened: OpenedSet, layers: readonly Transcoder[]) {
    this.backend = backend;
    this.config = opened.config;
    this.name = opened.name;
    this.layers = layers;
    this.featureCounts = featureCounts(opened);
    this.byLayer = new Map(layers.map((transcoder) => [transcoder.layer, transcoder]));
  }

  /** The transcoder of a layer; undefined where the layer keeps its own MLP. */
  at(layer: number): Transcoder | undefined {
    return this.byLayer.get(layer);
  }

  /** The transcoder of a layer that is known to have one, since features of it were named. */
  private of(layer: number): Transcoder {
    const transcoder = this.byLayer.get(layer);
    if (!transcoder) throw new Error(`layer ${layer} has no transcoder`);
    return transcoder;
  }

  /** x · W_encᵀ + b_enc, [pos, d_transcoder], of feature inputs x [pos, d_model]. Belongs to the caller. */
  async preActivations(layer: number, x: Tensor2D): Promise<Tensor2D> {
    const { W_enc, b_enc } = this.of(layer);
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
      const { rows, columns, values, areAllFinite } = await this.of(layer).finder.find(pre, firstPosition);
      if (!areAllFinite) await this.checkEncoder(layer);
      return { positions: rows, features: columns, values };
    } finally {
      pre.dispose();
    }
  }

  private async checkEncoder(layer: number): Promise<void> {
    const { file, info } = this.of(layer).source.W_enc;
    const bad = await findNotFinite(file, [info.name]);
    if (bad !== undefined) throw notFinite(file.name, bad);
  }

  /** Encoder rows of features, float32 [features.length, d_model]. Belongs to the caller. */
  encoderRows(layer: number, features: Int32Array): Promise<Tensor2D> {
    return this.of(layer).W_enc.rows(features);
  }

  /** The last layer that features of `layer` write into; the first is `layer` itself. Less than `layer` where it has none. */
  lastLayerWritten(layer: number): number {
    return layer + (this.at(layer)?.source.W_dec.n_written_layers ?? 0) - 1;
  }

  /** Decoder rows of features of `layer` for the layer they write into, float32 [features.length, d_model], from disk. */
  async decoderRows(layer: number, features: Int32Array, written: number = layer): Promise<Float32Array> {
    const { W_dec } = this.of(layer).source;
    if (written < layer || written > this.lastLayerWritten(layer))
      throw new Error(`layer ${layer} does not write into layer ${written}`);
    const rows = features.map((feature) => decoderRow(W_dec, feature, written - layer));
    return widen(await W_dec.file.readVectors(W_dec.info.name, rows), W_dec.info.dtype);
  }

  /** The decoder bias of a layer, [d_model]; null where it has none. */
  async decoderBias(layer: number): Promise<Float32Array | null> {
    return (await this.at(layer)?.b_dec.data<'float32'>()) ?? null;
  }

  /** What the skip connection of a layer adds, x · W_skipᵀ [pos, d_model]; null without one. Belongs to the caller. */
  async skip(layer: number, x: Tensor2D): Promise<Tensor2D | null> {
    using held = await this.acquireSkip(layer);
    return held ? held.matMul(x, { transpose: true }) : null;
  }

  async acquireSkip(layer: number): Promise<HeldWeight | null> {
    return (await this.at(layer)?.W_skip?.acquire()) ?? null;
  }

  [Symbol.dispose](): void {
    for (const { finder, W_enc, b_enc, b_dec, W_skip } of this.layers) {
      finder[Symbol.dispose]();
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
      layers.push(await loadLayer(backend, source, budget, options.preload ?? false));
      options.onProgress?.(layers.length, opened.layers.length);
    }
    return new TranscoderSet(backend, opened, layers);
  } catch (error) {
    new TranscoderSet(backend, opened, layers)[Symbol.dispose]();
    throw error;
  }
}

async function loadLayer(
  backend: Backend,
  source: LayerSource,
  budget: MemoryBudget,
  preload: boolean,
): Promise<Transcoder> {
  const activation = await readActivation(source);
  const b_enc = await readVector(source.b_enc);
  const b_dec = await readVector(source.b_dec);
  const load = ({ file, info, transposed }: LocatedMatrix): Promise<Weight> =>
    holdWeight(backend, budget, weightSource(file, info, transposed), preload);
  const W_enc = await load(source.W_enc);
  try {
    const W_skip = source.W_skip ? await load(source.W_skip) : null;
    return {
      layer: source.layer,
      d_transcoder: source.d_transcoder,
      activation,
      finder: backend.entryFinder(activation.rule),
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
