/** Interventions, step 3 of 4: vectors and values of the changed features, read once for any number of passes. */
import * as tf from '@tensorflow/tfjs-core';
import type { HeldWeight, Tensor, Tensor1D, Tensor2D } from '../backend/backend.ts';
import type { ReplacementModel } from '../replacement/replacement-model.ts';
import type { TranscoderSet } from '../transcoder/transcoder-set.ts';
import type { ResolvedIntervention } from './resolve.ts';

/** The changed features of one layer. */
export interface PlannedLayer {
  readonly layer: number;
  /** [m], ascending. */
  readonly features: Int32Array;
  /** Their activations for feature inputs x [pos, d_model], [pos, m]. Inside a tidy. */
  activations(x: Tensor2D): Tensor2D;
  /** Decoder rows [m, d_model] by the layer that they are written into. */
  readonly decoders: ReadonlyMap<number, Tensor2D>;
}

/** Dispose it, or take it with `using`. */
export class InterventionPlan implements Disposable {
  readonly interventions: readonly ResolvedIntervention[];
  readonly layers: readonly PlannedLayer[];
  private readonly owned: readonly Disposable[];

  private constructor(
    interventions: readonly ResolvedIntervention[],
    layers: readonly PlannedLayer[],
    owned: readonly Disposable[],
  ) {
    this.interventions = interventions;
    this.layers = layers;
    this.owned = owned;
  }

  /** Fetches encoder and decoder rows of the features named. */
  static async of(
    { transcoders }: ReplacementModel,
    interventions: readonly ResolvedIntervention[],
  ): Promise<InterventionPlan> {
    const layers: PlannedLayer[] = [];
    const owned: Disposable[] = [];
    const own = <T extends Tensor>(tensor: T): T => {
      owned.push({ [Symbol.dispose]: () => tensor.dispose() });
      return tensor;
    };
    try {
      for (let layer = 0; layer < transcoders.n_layers; layer++) {
        const features = Int32Array.from(
          new Set(interventions.filter((one) => one.layer === layer).map(({ feature }) => feature)),
        ).sort();
        if (features.length === 0) continue;
        const activations = await encoderOf(transcoders, layer, features, own, (held) => owned.push(held));
        const decoders = new Map<number, Tensor2D>();
        for (let written = layer; written <= transcoders.lastLayerWritten(layer); written++) {
          const rows = await transcoders.decoderRows(layer, features, written);
          decoders.set(
            written,
            own(tf.tensor2d(rows, [features.length, rows.length / features.length], 'float32')),
          );
        }
        layers.push({ layer, features, activations, decoders });
      }
      return new InterventionPlan(interventions, layers, owned);
    } catch (error) {
      for (const one of owned) one[Symbol.dispose]();
      throw error;
    }
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

type Own = <T extends Tensor>(tensor: T) => T;

/** How features of a layer are computed from its feature input: from their rows alone, as far as the activation allows it. */
async function encoderOf(
  transcoders: TranscoderSet,
  layer: number,
  features: Int32Array,
  own: Own,
  hold: (weight: HeldWeight) => void,
): Promise<(x: Tensor2D) => Tensor2D> {
  const { activation, W_enc, b_enc } = transcoders.layers[layer]!;
  if (activation.kind === 'topk') {
    // Which values are among the k largest shows only in the whole row.
    const held = await W_enc.acquire();
    hold(held);
    const columns = own(tf.tensor1d(features, 'int32'));
    const k = Math.min(activation.k, transcoders.d_transcoder);
    return (x) => largestOnly(tf.add(held.matMul(x, { transpose: true }), b_enc), k, columns);
  }
  const rows = own(await transcoders.encoderRows(layer, features));
  const bias = own(tf.tidy(() => tf.gather<Tensor1D>(b_enc, tf.tensor1d(features, 'int32'))));
  const pre = (x: Tensor2D): Tensor2D => tf.add(tf.matMul(x, rows, false, true), bias);
  if (activation.kind === 'relu') return (x) => tf.relu(pre(x));
  const threshold = own(tf.tensor1d(Float32Array.from(features, (f) => activation.threshold[f]!)));
  return (x) => {
    const values = pre(x);
    return tf.mul(values, tf.cast(tf.greater(values, threshold), 'float32'));
  };
}

/** Columns of pre [pos, d_transcoder] that are among the k largest of their row, 0 elsewhere. */
function largestOnly(pre: Tensor2D, k: number, columns: Tensor1D): Tensor2D {
  const { values } = tf.topk(pre, k);
  const smallest = tf.slice(values, [0, k - 1], [-1, 1]); // [pos, 1]
  const chosen = tf.gather(pre, columns, 1);
  return tf.mul(chosen, tf.cast(tf.greaterEqual(chosen, smallest), 'float32'));
}
