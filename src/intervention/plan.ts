/** Interventions, step 3 of 4: vectors and values of the changed features, read once for any number of passes. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor1D, Tensor2D } from '../backend/backend.ts';
import type { ReplacementModel } from '../replacement/replacement-model.ts';
import type { TranscoderSet } from '../transcoder/transcoder-set.ts';
import type { HeadChanges } from './head-edits.ts';
import type { ResolvedIntervention } from './resolve.ts';

/** Dispose it after use. */
export interface HeldEncoder extends Disposable {
  /** Activations of a layer's changed features for feature inputs x [pos, d_model], [pos, m]. Inside a tidy. */
  activations(x: Tensor2D): Tensor2D;
}

/** The changed features of one layer. */
export interface PlannedLayer {
  readonly layer: number;
  /** [m], ascending. */
  readonly features: Int32Array;
  /** What computes their activations. Some activation functions need the whole encoder for it, so it is held for a layer at a time. */
  encoder(): Promise<HeldEncoder>;
  /** Decoder rows [m, d_model] by the layer that they are written into. */
  readonly decoders: ReadonlyMap<number, Tensor2D>;
}

/** Dispose it, or take it with `using`. */
export class InterventionPlan implements Disposable {
  readonly interventions: readonly ResolvedIntervention[];
  readonly layers: readonly PlannedLayer[];
  readonly heads: HeadChanges;
  private readonly owned: readonly Disposable[];

  private constructor(
    interventions: readonly ResolvedIntervention[],
    layers: readonly PlannedLayer[],
    heads: HeadChanges,
    owned: readonly Disposable[],
  ) {
    this.interventions = interventions;
    this.layers = layers;
    this.heads = heads;
    this.owned = owned;
  }

  /** Fetches encoder and decoder rows of the features named. */
  static async of(
    { transcoders }: ReplacementModel,
    interventions: readonly ResolvedIntervention[],
    heads: HeadChanges = { changes: [], renormalize: false },
  ): Promise<InterventionPlan> {
    const layers: PlannedLayer[] = [];
    const owned: Disposable[] = [];
    try {
      for (const { layer } of transcoders.layers) {
        const features = Int32Array.from(
          new Set(interventions.filter((one) => one.layer === layer).map(({ feature }) => feature)),
        ).sort();
        if (features.length === 0) continue;
        const encoder = await encoderOf(transcoders, layer, features, owned);
        const decoders = new Map<number, Tensor2D>();
        for (let written = layer; written <= transcoders.lastLayerWritten(layer); written++) {
          const values = await transcoders.decoderRows(layer, features, written);
          const rows = tf.tensor2d(values, [features.length, values.length / features.length], 'float32');
          owned.push(disposable(rows));
          decoders.set(written, rows);
        }
        layers.push({ layer, features, encoder, decoders });
      }
      return new InterventionPlan(interventions, layers, heads, owned);
    } catch (error) {
      for (const one of owned) one[Symbol.dispose]();
      throw error;
    }
  }

  /** Whether nothing is changed. */
  get isEmpty(): boolean {
    return this.interventions.length === 0 && this.heads.changes.length === 0;
  }

  /** Layers of the changed features. */
  get inputLayers(): number[] {
    return this.layers.map(({ layer }) => layer);
  }

  /** Whether a change starts from the activations of the original pass. */
  get needsOriginal(): boolean {
    return this.interventions.some(({ change }) => change.kind !== 'set');
  }

  /** Whether it continues in generated tokens. */
  get isOpen(): boolean {
    return this.interventions.some(({ stop }) => stop === Infinity);
  }

  [Symbol.dispose](): void {
    for (const one of this.owned) one[Symbol.dispose]();
  }
}

/** How features of a layer are computed from its feature input: from their rows alone, as far as the activation allows it. */
async function encoderOf(
  transcoders: TranscoderSet,
  layer: number,
  features: Int32Array,
  owned: Disposable[],
): Promise<PlannedLayer['encoder']> {
  const { activation, W_enc, b_enc } = transcoders.at(layer)!;
  const activations = activation.on(features);
  owned.push(activations);
  if (activations.needsAll) {
    return async () => {
      const held = await W_enc.acquire();
      return {
        activations: (x) => activations.of(tf.add(held.matMul(x, { transpose: true }), b_enc)),
        [Symbol.dispose]: () => held[Symbol.dispose](),
      };
    };
  }
  const rows = await transcoders.encoderRows(layer, features);
  owned.push(disposable(rows));
  const bias = tf.tidy(() => tf.gather<Tensor1D>(b_enc, tf.tensor1d(features, 'int32')));
  owned.push(disposable(bias));
  return () =>
    Promise.resolve({
      activations: (x) => activations.of(tf.add(tf.matMul(x, rows, false, true), bias)),
      [Symbol.dispose]: () => undefined,
    });
}

function disposable(tensor: Tensor): Disposable {
  return { [Symbol.dispose]: () => tensor.dispose() };
}
