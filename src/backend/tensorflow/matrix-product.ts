/** Backend, native TensorFlow: the op behind `tf.matMul` of two matrices. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../backend.ts';
import type { KernelBackend, RawOps } from './binding.ts';

/**
 * TF.js sends every product to TensorFlow's BatchMatMulV2. For two matrices as they are, MatMul computes the same in 75 to
 * 95 % of the time and takes its place. (With a transposed right side it is the slower one.)
 */
export function registerMatrixProduct(raw: RawOps, kernels: KernelBackend, backendName: string): void {
  const batched = tf.getKernel(tf.BatchMatMul, backendName);
  tf.unregisterKernel(tf.BatchMatMul, backendName);
  tf.registerKernel({
    kernelName: tf.BatchMatMul,
    backendName,
    kernelFunc(params) {
      const { a, b } = params.inputs as { a: Tensor2D; b: Tensor2D };
      const { transposeA, transposeB } = params.attrs as unknown as tf.BatchMatMulAttrs;
      const areMatrices = [a, b].every(({ shape, dtype }) => isPair(shape) && dtype === 'float32');
      if (!areMatrices || transposeA || transposeB) return batched.kernelFunc(params);
      const [aId, bId] = kernels.getInputTensorIds([a, b]) as [number, number];
      const id = raw.matMul(aId, bId, false, raw.FLOAT);
      return kernels.createOutputTensor({ id, shape: [a.shape[0], b.shape[1]], dtype: raw.FLOAT });
    },
  });
}

function isPair(shape: readonly number[]): boolean {
  return shape.length === 2;
}
