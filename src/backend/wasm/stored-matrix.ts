/** Backend, WebAssembly: the bytes of a matrix as stored, in JavaScript's memory, and float32 pieces of it. */
import { widen } from '../../formats/dtype.ts';
import type { StorageType } from '../../formats/tensor-file.ts';
import type { WeightType } from '../backend.ts';

/**
 * Numbers in one block: 8 MiB once widened. The wasm heap ends at 4 GiB and never shrinks, so what is copied into it
 * for a product stays small, whatever the size of the weight.
 */
const BLOCK_NUMBERS = 2 * 1024 * 1024;

const STORAGE: Readonly<Record<WeightType, StorageType>> = {
  float32: 'F32',
  bfloat16: 'BF16',
  float16: 'F16',
};

export function elementBytes(dtype: WeightType): 2 | 4 {
  return dtype === 'float32' ? 4 : 2;
}

/** Rows [start, start + rows) in float32. */
export interface Block {
  readonly start: number;
  readonly rows: number;
  readonly values: Float32Array;
}

/** A stored matrix [rows, columns]. `bytes` starts at a multiple of 4 in its buffer. */
export class StoredMatrix {
  readonly rows: number;
  readonly columns: number;
  private readonly bytes: Uint8Array;
  private readonly dtype: WeightType;

  constructor(bytes: Uint8Array, shape: readonly [number, number], dtype: WeightType) {
    this.bytes = bytes;
    [this.rows, this.columns] = shape;
    this.dtype = dtype;
  }

  /** The whole matrix, one block of rows after the other. */
  *blocks(): Generator<Block> {
    const rowsPerBlock = Math.max(1, Math.floor(BLOCK_NUMBERS / this.columns));
    const rowBytes = this.columns * elementBytes(this.dtype);
    for (let start = 0; start < this.rows; start += rowsPerBlock) {
      const rows = Math.min(rowsPerBlock, this.rows - start);
      const part = this.bytes.subarray(start * rowBytes, (start + rows) * rowBytes);
      yield { start, rows, values: widen(part, STORAGE[this.dtype]) };
    }
  }

  /** Picked rows, float32 [indices.length, columns]. */
  pickRows(indices: Int32Array): Float32Array {
    this.checkIndices(indices, this.rows);
    const rowBytes = this.columns * elementBytes(this.dtype);
    const picked = new Uint8Array(indices.length * rowBytes);
    indices.forEach((row, i) => {
      picked.set(this.bytes.subarray(row * rowBytes, (row + 1) * rowBytes), i * rowBytes);
    });
    return widen(picked, STORAGE[this.dtype]);
  }

  /** Picked columns, float32 [indices.length, rows]. */
  pickColumns(indices: Int32Array): Float32Array {
    this.checkIndices(indices, this.columns);
    const { buffer, byteOffset } = this.bytes;
    const isWide = elementBytes(this.dtype) === 4;
    const stored = isWide ? new Uint32Array(buffer, byteOffset) : new Uint16Array(buffer, byteOffset);
    const picked = new (isWide ? Uint32Array : Uint16Array)(indices.length * this.rows);
    for (let row = 0; row < this.rows; row++) {
      for (let i = 0; i < indices.length; i++) {
        picked[i * this.rows + row] = stored[row * this.columns + indices[i]!]!;
      }
    }
    return widen(new Uint8Array(picked.buffer), STORAGE[this.dtype]);
  }

  private checkIndices(indices: Int32Array, limit: number): void {
    const wrong = indices.find((index) => index < 0 || index >= limit);
    if (wrong !== undefined) throw new RangeError(`row ${wrong} of a weight that has ${limit}`);
  }
}
