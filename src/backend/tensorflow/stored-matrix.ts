/** Backend, native TensorFlow: the bytes of a matrix as stored, seen as one tensor or as blocks of rows. */
import type { WeightType } from '../backend.ts';
import type { RawOps } from './binding.ts';

/** TensorFlow shares memory that starts at a multiple of this many bytes, and copies any other (EIGEN_MAX_ALIGN_BYTES). */
const ALIGNMENT_BYTES = 64;

/**
 * Numbers in one block, when a matrix is multiplied piece by piece: 8 MiB once widened to float32, so that a block is
 * still in the processor's cache when it is multiplied, and still long enough to keep two cores busy.
 */
const BLOCK_NUMBERS = 2 * 1024 * 1024;

export function elementBytes(dtype: WeightType): 2 | 4 {
  return dtype === 'float32' ? 4 : 2;
}

/**
 * Memory for `byteLength` bytes that TensorFlow can share. glibc serves large requests by mmap and puts 16 bytes of its
 * own in front, so the address is 16 modulo 64; where it is not, TensorFlow copies, which costs memory but no correctness.
 */
export function shareableBytes(byteLength: number): Uint8Array {
  const headBytes = ALIGNMENT_BYTES - 16;
  // allocUnsafeSlow: not zeroed, not from the pool. All of it is overwritten by the read that follows.
  return Buffer.allocUnsafeSlow(byteLength + headBytes).subarray(headBytes);
}

export interface Block {
  readonly id: number;
  readonly start: number;
  readonly rows: number;
}

/** A stored matrix [rows, columns] whose bytes are in memory. Tensors over it are made when first needed. */
export class StoredMatrix implements Disposable {
  readonly rows: number;
  readonly columns: number;
  readonly dtype: number;
  readonly byteLength: number;
  private bytes: Uint8Array | undefined;
  private wholeId: number | undefined;
  private blockList: Block[] | undefined;
  private readonly raw: RawOps;

  constructor(raw: RawOps, bytes: Uint8Array, shape: readonly [number, number], type: WeightType) {
    this.raw = raw;
    this.bytes = bytes;
    [this.rows, this.columns] = shape;
    this.dtype = type === 'float32' ? raw.FLOAT : type === 'bfloat16' ? raw.BFLOAT16 : raw.HALF;
    this.byteLength = bytes.byteLength;
  }

  get needsWidening(): boolean {
    return this.dtype !== this.raw.FLOAT;
  }

  /** The matrix as one tensor. Belongs to this object. */
  whole(): number {
    this.wholeId ??= this.raw.matrix(this.held(), this.rows, this.columns, this.dtype);
    return this.wholeId;
  }

  /** The matrix as blocks of rows over the same memory. They belong to this object. */
  blocks(): readonly Block[] {
    if (this.blockList) return this.blockList;
    const rowsPerBlock = Math.max(1, Math.floor(BLOCK_NUMBERS / this.columns));
    const rowBytes = this.byteLength / this.rows;
    const list: Block[] = [];
    for (let start = 0; start < this.rows; start += rowsPerBlock) {
      const rows = Math.min(rowsPerBlock, this.rows - start);
      const part = this.held().subarray(start * rowBytes, (start + rows) * rowBytes);
      list.push({ id: this.raw.matrix(part, rows, this.columns, this.dtype), start, rows });
    }
    this.blockList = list;
    return list;
  }

  private held(): Uint8Array {
    if (!this.bytes) throw new Error('a disposed weight was used');
    return this.bytes;
  }

  [Symbol.dispose](): void {
    if (this.wholeId !== undefined) this.raw.delete(this.wholeId);
    for (const block of this.blockList ?? []) this.raw.delete(block.id);
    this.wholeId = undefined;
    this.blockList = undefined;
    this.bytes = undefined;
  }
}
