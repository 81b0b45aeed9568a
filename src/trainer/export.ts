/** Trainer: coders as files of a set that circuit-tracer and `tracer` open, with the normalisation folded in. */
import { join } from 'node:path';
import type { Tensor } from '../backend/backend.ts';
import { unreachable } from '../errors.ts';
import { writeFileAtomic } from '../formats/atomic.ts';
import { narrowToBfloat16 } from '../formats/dtype.ts';
import { writeSafetensors, type TensorToWrite } from '../formats/safetensors-writer.ts';
import { decoderFile, encoderFile } from '../transcoder/sources/cross-layer.ts';
import type { Coder } from './coder.ts';
import type { LayerNormalisation } from './normalisation.ts';
import type { Recipe, ResultType } from './recipe.ts';

/** The numbers of a coder for inputs and outputs as they are, row-major. */
export interface FoldedCoder {
  readonly layer: number;
  readonly d_model: number;
  readonly n_written: number;
  readonly d_transcoder: number;
  readonly W_enc: Float32Array;
  readonly b_enc: Float32Array;
  readonly W_dec: Float32Array;
  readonly b_dec: Float32Array;
  readonly W_skip: Float32Array | null;
  readonly threshold: Float32Array | null;
}

/**
 * With x' = (x − μ) / σ a pre-activation W · x' + b is (W / σ) · x + (b − W · μ / σ), the same number. What is written is multiplied by
 * the scale of the outputs of the layer that it goes to.
 */
export async function folded(
  coder: Coder,
  { d_transcoder, activation }: Recipe,
  normalisations: ReadonlyMap<number, LayerNormalisation>,
): Promise<FoldedCoder> {
  const { layer, d_model, n_written } = coder;
  const { x: input, y: output } = normalisations.get(layer)!;
  const W_enc = await numbersOf(coder.W_enc.value);
  const b_enc = await numbersOf(coder.b_enc.value);
  foldInput(W_enc, b_enc, input.mean, input.scale);
  const W_dec = await numbersOf(coder.W_dec.value);
  const scales = Array.from({ length: n_written }, (_, i) => normalisations.get(layer + i)!.y.scale);
  const columns = n_written * d_model;
  for (let i = 0; i < W_dec.length; i++) W_dec[i]! *= scales[Math.floor((i % columns) / d_model)]!;
  const b_dec = (await numbersOf(coder.b_dec.value)).map((b, i) => b * output.scale + output.mean[i]!);
  const W_skip = coder.W_skip && (await numbersOf(coder.W_skip.value)).map((w) => w * output.scale);
  if (W_skip) foldInput(W_skip, b_dec, input.mean, input.scale);
  const threshold = await thresholdOf(coder, activation, d_transcoder);
  return { layer, d_model, n_written, d_transcoder, W_enc, b_enc, W_dec, b_dec, W_skip, threshold };
}

/** W [rows, columns] and b [rows] in place. */
function foldInput(W: Float32Array, b: Float32Array, mean: Float32Array, scale: number): void {
  const columns = mean.length;
  for (let row = 0; row < b.length; row++) {
    let shift = 0;
    for (let i = 0; i < columns; i++) {
      W[row * columns + i]! /= scale;
      shift += W[row * columns + i]! * mean[i]!;
    }
    b[row]! -= shift;
  }
}

async function thresholdOf(
  coder: Coder,
  activation: Recipe['activation'],
  d_transcoder: number,
): Promise<Float32Array | null> {
  switch (activation) {
    case 'jumprelu':
      return (await numbersOf(coder.logThreshold!.value)).map(Math.exp);
    case 'batchtopk': // one for all features
      return new Float32Array(d_transcoder).fill(coder.numbers.cut ?? 0);
    case 'topk':
    case 'relu':
      return null;
    default:
      return unreachable(activation);
  }
}

async function numbersOf(tensor: Tensor): Promise<Float32Array> {
  return (await tensor.data<'float32'>()).slice();
}

/** Names of the files of a layer. */
export function layerFiles(kind: Recipe['kind'], layer: number): string[] {
  switch (kind) {
    case 'per-layer':
      return [`layer_${layer}.safetensors`];
    case 'cross-layer':
      return [encoderFile(layer), decoderFile(layer)];
    default:
      return unreachable(kind);
  }
}

/** Writes the files of a layer, each complete or not at all, and returns their names. */
export async function writeCoder(
  folder: string,
  coder: FoldedCoder,
  { kind, dtype }: Pick<Recipe, 'kind' | 'dtype'>,
): Promise<string[]> {
  const { layer, d_model, n_written, d_transcoder, W_enc, b_enc, W_dec, b_dec, W_skip, threshold } = coder;
  const vector = (name: string, data: Float32Array): TensorToWrite => ({
    name,
    dtype: 'F32',
    shape: [data.length],
    data,
  });
  const matrix = (name: string, shape: readonly number[], values: Float32Array): TensorToWrite =>
    stored(name, shape, values, dtype);
  const files = layerFiles(kind, layer);
  switch (kind) {
    case 'per-layer': {
      await writeSafetensors(join(folder, files[0]!), [
        matrix('W_enc', [d_transcoder, d_model], W_enc),
        matrix('W_dec', [d_transcoder, d_model], W_dec),
        ...(W_skip ? [matrix('W_skip', [d_model, d_model], W_skip)] : []),
        vector('b_enc', b_enc),
        vector('b_dec', b_dec),
        ...(threshold ? [vector('activation_function.threshold', threshold)] : []),
      ]);
      return files;
    }
    case 'cross-layer': {
      await writeSafetensors(join(folder, files[0]!), [
        matrix(`W_enc_${layer}`, [d_transcoder, d_model], W_enc),
        vector(`b_enc_${layer}`, b_enc),
        vector(`b_dec_${layer}`, b_dec),
        ...(threshold ? [vector(`threshold_${layer}`, threshold)] : []),
      ]);
      const shape = [d_transcoder, n_written, d_model];
      await writeSafetensors(join(folder, files[1]!), [matrix(`W_dec_${layer}`, shape, W_dec)]);
      return files;
    }
    default:
      return unreachable(kind);
  }
}

function stored(
  name: string,
  shape: readonly number[],
  values: Float32Array,
  dtype: ResultType,
): TensorToWrite {
  switch (dtype) {
    case 'float32':
      return { name, dtype: 'F32', shape, data: values };
    case 'bfloat16':
      return { name, dtype: 'BF16', shape, data: narrowToBfloat16(values) };
    default:
      return unreachable(dtype);
  }
}

export const SET_CONFIG = 'config.yaml';

/** What `config.yaml` of the set says. */
export async function writeSetConfig(folder: string, modelName: string, recipe: Recipe): Promise<void> {
  const { kind, activation, k } = recipe;
  const settings = {
    model_name: JSON.stringify(modelName),
    model_kind: kind === 'per-layer' ? 'transcoder_set' : 'cross_layer_transcoder',
    feature_input_hook: recipe.feature_input_hook,
    feature_output_hook: recipe.feature_output_hook,
    activation,
    ...(activation === 'topk' && { k }),
  };
  const lines = Object.entries(settings).map(([key, value]) => `${key}: ${value}\n`);
  await writeFileAtomic(join(folder, SET_CONFIG), lines.join(''));
}
