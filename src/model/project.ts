/** Model: a product with a matrix of a block, and its bias where it has one. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../backend/backend.ts';
import type { HeldBlock } from './held-block.ts';
import type { BlockMatrix } from './block-spec.ts';

/** x · Wᵀ + b for x [n, input], [n, output]. */
export function project(x: Tensor2D, { matrices, biases }: HeldBlock, name: BlockMatrix): Tensor2D {
  const product = matrices[name]!.matMul(x, { transpose: true });
  const bias = biases[name];
  return bias ? tf.add(product, bias) : product;
}
