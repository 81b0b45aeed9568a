/** Training: the parameters of a transformer at their random start, and the same block code over them as in a run. */
import * as tf from '@tensorflow/tfjs-core';
import type { HeldWeight, Tensor1D, Tensor2D } from '../backend/backend.ts';
import type { HeldBlock } from '../model/held-block.ts';
import type { TransformerConfig } from '../model/config.ts';
import { matricesOf } from '../model/block-spec.ts';
import { normOf, type Norm } from '../model/norm.ts';
import { matrixPath, numberOf, parametersOf } from '../model/parameters.ts';
import type { Place } from '../model/naming.ts';
import type { Parameter, Variables } from './parameters.ts';
import type { Random } from '../random.ts';

export interface ModelStart {
  /** Rows of the embedding that keep their random start. */
  readonly frozenEmbeddings?: Uint8Array;
}

/**
 * Parameters under their keys in a checkpoint. Embeddings ~ N(0, 1 / d_model), matrices ~ N(0, 1 / inputs), gains 1
 * (stored as the family stores them). `config.d_vocab` is the number of tokens that are trained.
 */
export function modelParameters(config: TransformerConfig, random: Random, start: ModelStart): Parameter[] {
  checkTrained(config);
  const { norm } = config.block;
  const gain = norm.kind === 'rms' ? 1 - norm.gainOffset : 1;
  return parametersOf(config).map(({ parameter, place: { key }, shape }) => {
    const size = numberOf(shape);
    if (shape.length === 1) {
      return { name: key, shape, values: new Float32Array(size).fill(gain), decays: false };
    }
    const isEmbedding = parameter === 'embed.W_E';
    return {
      name: key,
      shape,
      values: random.normals(size, shape[1]! ** -0.5),
      decays: true,
      ...(isEmbedding && start.frozenEmbeddings && { frozenRows: start.frozenEmbeddings }),
    };
  });
}

/** Models are trained with RMS norms, rotary positions, and without biases, sinks and experts. */
function checkTrained({ block, positions }: TransformerConfig): void {
  if (
    block.norm.kind === 'rms' &&
    block.biased.length === 0 &&
    block.qkNorm === 'none' &&
    !block.sinks &&
    !block.experts &&
    positions === 'rotary'
  )
    return;
  throw new Error(
    'models with layer norms, biases, norms of queries, sinks, experts or learned positions are not trained',
  );
}

/** What a pass over a batch uses. */
export interface BatchModel {
  readonly config: TransformerConfig;
  readonly W_E: Tensor2D;
  readonly blocks: readonly HeldBlock[];
  readonly ln_final: Norm;
}

/** The model of the variables as they are now. Called inside a tidy. */
export function modelOfVariables(config: TransformerConfig, variables: Variables): BatchModel {
  const { block: spec, eps } = config;
  const places = config.family.naming;
  const offset = spec.norm.kind === 'rms' ? spec.norm.gainOffset : 0;
  const norm = ({ key }: Place): Norm =>
    normOf(spec.norm, { w: tf.add(variables.get<Tensor1D>(key), offset) }, eps);
  const blocks = Array.from({ length: config.n_layers }, (_, layer): HeldBlock => {
    const at = places.block(layer);
    const matrices = matricesOf(spec).map(
      (name) => [name, heldVariable(variables.get(at[matrixPath(name)]!.key))] as const,
    );
    const norms = spec.norms.map((name) => [name, norm(at[`${name}.w`]!)] as const);
    return {
      matrices: Object.fromEntries(matrices),
      norms: Object.fromEntries(norms),
      qkNorms: null,
      sinks: null,
      foldedValueBias: null,
      biases: {},
      experts: null,
    };
  });
  const { model } = places;
  return {
    config,
    W_E: variables.get(model['embed.W_E']!.key),
    blocks,
    ln_final: norm(model['ln_final.w']!),
  };
}

/** A weight whose gradient is wanted; `Weight`s of a backend are frozen. */
export function heldVariable(matrix: Tensor2D): HeldWeight {
  return {
    shape: matrix.shape,
    matMul: (x, options) => tf.matMul(x, matrix, false, options?.transpose ?? false),
    rows: (indices) => tf.gather(matrix, tf.tensor1d(indices, 'int32')),
    [Symbol.dispose]() {}, // the variables own it
  };
}
