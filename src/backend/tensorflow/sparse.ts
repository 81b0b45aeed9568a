/** Backend, native TensorFlow on the CPU: sparse products by the ops of our own addon (`native/products/sparse.h`). */
import type { SparseProducts, Tensor2D } from '../backend.ts';
import type { KernelBackend, OpResult, RawOps } from './binding.ts';

export function nativeSparse(raw: RawOps, kernels: KernelBackend): SparseProducts {
  const ids = (...tensors: Tensor2D[]): number[] => kernels.getInputTensorIds(tensors);
  const tensor = (result: OpResult): Tensor2D => kernels.createOutputTensor(result) as Tensor2D;
  return {
    weightedSum: ({ values, indices }, W) =>
      tensor(raw.sparseOp('TracerWeightedSum', ids(values, indices, W))[0]!),
    dot: (g, indices, W) => tensor(raw.sparseOp('TracerRowDots', ids(g, indices, W))[0]!),
    scatter: ({ values, indices }, x, rows) =>
      tensor(raw.sparseOp('TracerScatteredSum', ids(values, indices, x), [rows])[0]!),
    largest(values, m) {
      const [best, at] = raw.sparseOp('TracerLargest', ids(values), [m]);
      return { values: tensor(best!), indices: tensor(at!) };
    },
  };
}
