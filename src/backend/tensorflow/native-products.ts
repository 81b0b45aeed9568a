/** Backend, native TensorFlow: products on matrices as they are stored, by the ops of our own addon (`native/products`). */
import type { Tensor2D } from '../backend.ts';
import type { Engine, Storage } from '../engine.ts';
import { HostMemory, type HostMatrix } from '../host-memory.ts';
import type { KernelBackend, RawOps } from './binding.ts';
import { MappedFiles, type MappedMatrix } from './mapped-files.ts';
import { TYPE_NUMBERS, type ProductsAddon } from './products-addon.ts';

/** A matrix that the addon knows, over mapped pages or over memory of this process. */
class NativeMatrix implements Storage {
  readonly rows: number;
  readonly columns: number;
  readonly heldBytes: number;
  /** A tensor with the addon's number of the matrix: an input of its ops. */
  readonly handleId: number;
  private readonly addon: ProductsAddon;
  private readonly raw: RawOps;
  private readonly matrix: number;
  private readonly memory: HostMatrix | MappedMatrix;

  constructor(addon: ProductsAddon, raw: RawOps, memory: HostMatrix | MappedMatrix) {
    const { rows, columns, dtype } = memory;
    const [bytes, offset] = 'bytes' in memory ? [memory.bytes, 0] : [memory.mapping, memory.offset];
    this.matrix = addon.addMatrix(bytes, offset, rows, columns, TYPE_NUMBERS[dtype]);
    this.handleId = raw.integer(this.matrix);
    this.addon = addon;
    this.raw = raw;
    this.memory = memory;
    this.rows = rows;
    this.columns = columns;
    this.heldBytes = memory.heldBytes;
  }

  [Symbol.dispose](): void {
    this.raw.delete(this.handleId);
    this.addon.removeMatrix(this.matrix);
    this.memory[Symbol.dispose]();
  }
}

/** Weights stay in the pages of their files where those can be mapped, else in memory of this process. */
export function nativeEngine(
  addon: ProductsAddon,
  raw: RawOps,
  kernels: KernelBackend,
): Engine<NativeMatrix> {
  const memory = new HostMemory((byteLength) => Buffer.allocUnsafeSlow(byteLength));
  const files = new MappedFiles(addon);
  const tensor = (id: number, shape: [number, number]): Tensor2D =>
    kernels.createOutputTensor({ id, shape, dtype: raw.FLOAT }) as Tensor2D;
  return {
    multipliesAsStored: true,
    async store(source, lifetime) {
      const mapped = source.bytes ? undefined : files.matrix(source, lifetime);
      return new NativeMatrix(addon, raw, mapped ?? (await memory.read(source, lifetime)));
    },
    product(x, stored, orientation) {
      const [id] = kernels.getInputTensorIds([x]) as [number];
      const isTransposed = orientation === 'transposed';
      const result = raw.storedProduct(id, stored.handleId, isTransposed);
      return tensor(result, [x.shape[0], isTransposed ? stored.rows : stored.columns]);
    },
    gather(stored, indices, axis) {
      const result = raw.storedGather(indices, stored.handleId, axis);
      return tensor(result, [indices.length, axis === 'rows' ? stored.columns : stored.rows]);
    },
  };
}
