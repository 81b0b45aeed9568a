/** Attribution: what MLPs wrote minus what features, decoder biases and skips explain of it. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../backend/backend.ts';
import type { ActivationCache } from '../model/activation-cache.ts';
import type { ActiveFeatures, ReplacementModel } from '../replacement/replacement-model.ts';

/** What of a pass sources are made of. */
export interface SourcePass {
  readonly n_pos: number;
  readonly features: ActiveFeatures;
  /** Errors of positions before it are zero. */
  readonly firstPosition: number;
  /** Feature inputs and MLP outputs; needed until the errors of a layer are known. */
  readonly activations: Pick<ActivationCache, 'get'>;
}

/** What a layer's MLP wrote, and what is explained of it without any feature, [pos · d_model] each. */
interface LayerRecord {
  readonly output: Float32Array;
  /** In double precision, so that a long sum of features stays exact. */
  readonly biasAndSkip: Float64Array;
}

/** Errors become known position by position, while the vectors of features are made. */
export class ErrorVectors {
  private readonly replacement: ReplacementModel;
  private readonly pass: SourcePass;
  private readonly d_model: number;
  /** [n_layers][n_pos], [d_model] each where known. */
  private readonly known: (Float32Array | undefined)[][];
  /** Of layers that are not wholly known yet. */
  private readonly records = new Map<number, Promise<LayerRecord>>();

  constructor(replacement: ReplacementModel, pass: SourcePass) {
    const { n_layers, d_model } = replacement.model.config;
    this.replacement = replacement;
    this.pass = pass;
    this.d_model = d_model;
    this.known = Array.from({ length: n_layers }, () => new Array<undefined>(pass.n_pos).fill(undefined));
  }

  isKnown(layer: number, position: number): boolean {
    return this.known[layer]![position] !== undefined;
  }

  /** The error at a position where it is known, [d_model]. */
  at(layer: number, position: number): Float32Array {
    const vector = this.known[layer]![position];
    if (!vector) throw new Error(`the error of layer ${layer} at position ${position} is not known yet`);
    return vector;
  }

  /** What the errors at positions [first, stop) are, as soon as all features that write there have been added. */
  async reconstruct(layer: number, first: number, stop: number): Promise<Reconstruction> {
    const record = this.records.get(layer) ?? this.readRecord(layer);
    this.records.set(layer, record);
    const { output, biasAndSkip } = await record;
    const { d_model } = this;
    const sum = biasAndSkip.slice(first * d_model, stop * d_model);
    return {
      add(position, vectors, from) {
        const start = (position - first) * d_model;
        for (let j = 0; j < d_model; j++) sum[start + j]! += vectors[from + j]!;
      },
      finish: () => {
        for (let position = first; position < stop; position++) {
          const vector = new Float32Array(d_model);
          if (position >= this.pass.firstPosition) {
            for (let j = 0; j < d_model; j++) {
              vector[j] = output[position * d_model + j]! - sum[(position - first) * d_model + j]!;
            }
          }
          this.known[layer]![position] = vector;
        }
        if (!this.known[layer]!.includes(undefined)) this.records.delete(layer);
      },
    };
  }

  private async readRecord(layer: number): Promise<LayerRecord> {
    const { replacement, pass, d_model } = this;
    const { output, skip } = await this.read(layer);
    const b_dec = await replacement.transcoders.decoderBias(layer);
    const biasAndSkip = new Float64Array(pass.n_pos * d_model);
    for (let i = 0; b_dec && i < biasAndSkip.length; i++) biasAndSkip[i] = b_dec[i % d_model]!;
    for (let i = 0; skip && i < biasAndSkip.length; i++) biasAndSkip[i]! += skip[i]!;
    return { output, biasAndSkip };
  }

  /** What a layer's MLP and its skip wrote, in one reading of the device; null without a skip. */
  private async read(layer: number): Promise<{ output: Float32Array; skip: Float32Array | null }> {
    const { replacement, pass } = this;
    const output = pass.activations.get<Tensor2D>(replacement.outputHook(layer));
    if (!replacement.transcoders.at(layer)?.W_skip)
      return { output: await output.data<'float32'>(), skip: null };
    const input = pass.activations.get<Tensor2D>(replacement.inputHook(layer));
    const skip = (await replacement.transcoders.skip(layer, input))!;
    const both = tf.concat([output, skip]);
    skip.dispose();
    try {
      const values = await both.data<'float32'>();
      return { output: values.subarray(0, output.size), skip: values.subarray(output.size) };
    } finally {
      both.dispose();
    }
  }
}

/** The sum of what explains a layer's MLP at some positions. */
export interface Reconstruction {
  /** Adds what a feature writes at a position: the vector [d_model] that begins at `from` in `vectors`. */
  add(position: number, vectors: Float32Array, from: number): void;
  /** All features were added: the errors are known. */
  finish(): void;
}
