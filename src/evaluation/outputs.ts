/** Evaluation: what is put in place of MLPs: what features write, which is measured on the way, and the mean over a corpus. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../backend/backend.ts';
import { rowsAt } from '../training/capture.ts';
import type { LayerFeatures } from '../transcoder/activations/activation.ts';
import type { LayerSums } from './layer-sums.ts';
import { OwnedTensors } from './owned-tensors.ts';
import { encodeInBlocks, reconstruct, type Written } from './reconstruct.ts';
import type { LayerValues, StackedPass } from './stacked-pass.ts';
import type { OutputsInstead } from './streams.ts';

/** Throws for numbers that are not finite; `what` names them in its message. */
export type CheckFinite = (values: Float32Array, what: string) => Promise<void>;

/** What the features of a set write, computed in the pass itself. Those of the original stream are added to the sums. */
export class FeatureOutputs implements OutputsInstead {
  private readonly pass: StackedPass;
  private readonly sums: ReadonlyMap<number, LayerSums>;
  private readonly checkFinite: CheckFinite;
  /** Of each stream, by layer. */
  private readonly histories = [new Map<number, LayerFeatures>()];

  constructor(pass: StackedPass, sums: ReadonlyMap<number, LayerSums>, checkFinite: CheckFinite) {
    this.pass = pass;
    this.sums = sums;
    this.checkFinite = checkFinite;
  }

  async outputs(layer: number, streams: readonly LayerValues[]): Promise<Tensor2D[]> {
    const { batch, signal, replacement } = this.pass;
    const { transcoders } = replacement;
    // What was written before the streams parted came from the same features.
    if (this.histories.length < streams.length) this.histories.push(new Map(this.histories[0]));
    using owned = new OwnedTensors();
    const sums = this.sums.get(layer)!;
    const places: Written[] = [];
    for (const [i, { input }] of streams.entries()) {
      const x = owned.own(tf.tidy(() => rowsAt(input, batch.inner)));
      const encode = (rows: Tensor2D): Promise<LayerFeatures> => transcoders.encode(layer, rows);
      const features = await encodeInBlocks(sums.wasActive.length, x, encode, signal);
      await this.checkFinite(features.values, 'the activations of features');
      this.histories[i]!.set(layer, features);
      places.push({ input: x, features: this.histories[i]! });
    }
    const outputs = await reconstruct(transcoders, layer, places, signal);
    try {
      const y = owned.own(tf.tidy(() => rowsAt(streams[0]!.output, batch.inner)));
      const [written, rebuilt] = await Promise.all([y.data<'float32'>(), outputs[0]!.data<'float32'>()]);
      await this.checkFinite(written, 'the outputs of MLPs');
      await this.checkFinite(rebuilt, 'the outputs of features');
      sums.add(written, rebuilt, this.histories[0]!.get(layer)!);
      return outputs;
    } catch (error) {
      tf.dispose(outputs);
      throw error;
    }
  }
}

/** The mean of what each MLP writes, the same at every position. */
export class MeanOutputs implements OutputsInstead {
  private readonly n: number;
  private readonly means: ReadonlyMap<number, LayerSums>;

  /** @param n positions where it is put */
  constructor(n: number, means: ReadonlyMap<number, LayerSums>) {
    this.n = n;
    this.means = means;
  }

  outputs(layer: number, streams: readonly LayerValues[]): Promise<Tensor2D[]> {
    const mean = Float32Array.from(this.means.get(layer)!.mean);
    return Promise.resolve(
      streams.map(() => tf.tidy(() => tf.tile(tf.tensor2d(mean, [1, mean.length]), [this.n, 1]))),
    );
  }
}
