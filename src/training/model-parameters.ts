/** Training: the parameters of a transformer at their random start, and the same block code over them as in a run. */
import * as tf from '@tensorflow/tfjs-core';
import type { HeldWeight, Tensor1D, Tensor2D } from '../backend/backend.ts';
import type { HeldBlock } from '../model/block.ts';
import type { TransformerConfig } from '../model/config.ts';
import { expectedWeights } from '../model/expected-weights.ts';
import { BLOCK_GAINS, BLOCK_MATRICES, type BlockGain, type BlockMatrix } from '../model/weight-names.ts';
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
  return expectedWeights(config).map(({ key, shape }) => {
    const size = shape.reduce((product, n) => product * n, 1);
    if (shape.length === 1) {
      return {
        name: key,
        shape,
        values: new Float32Array(size).fill(1 - config.family.normGainOffset),
        decays: false,
      };
    }
    const isEmbedding = key === config.family.weights.W_E;
    return {
      name: key,
      shape,
      values: random.normals(size, shape[1]! ** -0.5),
      decays: true,
      ...(isEmbedding && start.frozenEmbeddings && { frozenRows: start.frozenEmbeddings }),
    };
  });
}

/** What a pass over a batch uses. */
export interface BatchModel {
  readonly config: TransformerConfig;
  readonly W_E: Tensor2D;
  readonly blocks: readonly HeldBlock[];
  readonly ln_final: Tensor1D;
}

/** The model of the variables as they are now. Called inside a tidy. */
export function modelOfVariables(config: TransformerConfig, variables: Variables): BatchModel {
  const { weights, normGainOffset } = config.family;
  const gain = (key: string): Tensor1D => tf.add(variables.get<Tensor1D>(key), normGainOffset);
  const blocks = Array.from({ length: config.n_layers }, (_, layer): HeldBlock => {
    const keys = weights.block(layer);
    const matrices = BLOCK_MATRICES.map((name) => [name, heldVariable(variables.get(keys[name]))] as const);
    const gains = BLOCK_GAINS.map((name) => [name, gain(keys[name])] as const);
    return {
      ...(Object.fromEntries(matrices) as Record<BlockMatrix, HeldWeight>),
      ...(Object.fromEntries(gains) as Record<BlockGain, Tensor1D>),
    };
  });
  return { config, W_E: variables.get(weights.W_E), blocks, ln_final: gain(weights.ln_final) };
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
