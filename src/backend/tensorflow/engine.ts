/** Backend, native TensorFlow: weights stay as stored in memory that TensorFlow shares, below the tensors of TF.js. */
import type { Arithmetic, Tensor2D } from '../backend.ts';
import type { Engine } from '../engine.ts';
import { HostMemory } from '../host-memory.ts';
import type { KernelBackend, RawOps } from './binding.ts';
import { gatherPacked, pick } from './gather.ts';
import { multiply, multiplyInBfloat16 } from './product.ts';
import { shareableBytes, StoredMatrix } from './storage.ts';

export interface TensorflowOptions {
  readonly raw: RawOps;
  readonly kernels: KernelBackend;
  readonly arithmetic: Arithmetic;
}

export function tensorflowEngine({ raw, kernels, arithmetic }: TensorflowOptions): Engine<StoredMatrix> {
  const memory = new HostMemory(shareableBytes);
  const tensor = (id: number, shape: [number, number]): Tensor2D =>
    kernels.createOutputTensor({ id, shape, dtype: raw.FLOAT }) as Tensor2D;
  return {
    multipliesAsStored: arithmetic === 'bfloat16',
    async store(source, lifetime) {
      return new StoredMatrix(raw, await memory.read(source, lifetime));
    },
    product(x, stored, orientation) {
      const [id] = kernels.getInputTensorIds([x]) as [number];
      const [rows] = x.shape;
      const result =
        arithmetic === 'bfloat16' && stored.dtype === raw.BFLOAT16
          ? multiplyInBfloat16(raw, { id, rows }, stored, orientation)
          : multiply(raw, { id, rows }, stored, orientation);
      return tensor(result, [rows, orientation === 'stored' ? stored.columns : stored.rows]);
    },
    gather(stored, indices, axis) {
      if (stored.isPacked) {
        const shape: [number, number] = [indices.length, axis === 'rows' ? stored.columns : stored.rows];
        return tensor(gatherPacked(raw, stored, indices, axis), shape);
      }
      const wide = pick(raw, stored.whole(), indices, axis === 'rows' ? 0 : 1, stored.dtype);
      if (axis === 'rows') return tensor(wide, [indices.length, stored.columns]);
      const upright = raw.transpose(wide, raw.FLOAT);
      raw.delete(wide);
      return tensor(upright, [indices.length, stored.rows]);
    },
  };
}
