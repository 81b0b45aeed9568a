/** Backend, native TensorFlow: a stored matrix as one tensor or as blocks of rows, over memory that TensorFlow shares. */
import type { RowRange } from '../../formats/tensor-file.ts';
import type { WeightType } from '../backend.ts';
import type { Storage } from '../engine.ts';
import { isPacked } from '../../formats/packed.ts';
import { widenStored } from '../host-gather.ts';
import type { HostMatrix } from '../host-memory.ts';
import type { RawOps } from './binding.ts';

/** TensorFlow shares memory that starts at a multiple of this many bytes, and copies any other (EIGEN_MAX_ALIGN_BYTES). */
const ALIGNMENT_BYTES = 64;

/**
 * Numbers in one block, when a matrix is multiplied piece by piece: 8 MiB once widened to float32, so that a block is
 * still in the processor's cache when it is multiplied, and still long enough to keep two cores busy.
 */
const BLOCK_NUMBERS = 2 * 1024 * 1024;

/**
 * Memory for `byteLength` bytes that TensorFlow can share. glibc serves large requests by mmap and puts 16 bytes of its
 * own in front, so the address is 16 modulo 64; where it is not, TensorFlow copies, which costs memory but no correctness.
 */
export function shareableBytes(byteLength: number): Uint8Array {
  const headBytes = ALIGNMENT_BYTES - 16;
  // allocUnsafeSlow: not zeroed, not from the pool. All of it is overwritten by the read that follows.
  return Buffer.allocUnsafeSlow(byteLength + headBytes).subarray(headBytes);
}

/** Rows of a stored matrix, or all of it. */
export interface Widened {
  /** A new float32 tensor of them, which belongs to the caller. */
  wide(): number;
}

/** Rows [start, start + rows) of a stored matrix. */
export interface Block extends Widened {
  readonly start: number;
  readonly rows: number;
  /** The rows as they are stored, a tensor of the matrix; undefined for packed types, which TensorFlow has not. */
  readonly stored: number | undefined;
}

/** A stored matrix as blocks of rows that are widened one after the other. */
export interface BlockedMatrix extends Storage {
  readonly rows: number;
  readonly columns: number;
  /** Of its tensors. */
  readonly dtype: number;
  blocks(): readonly Block[];
}

/** TensorFlow's number for the type of a stored matrix; packed types are unpacked to float32. */
export function tensorType(raw: RawOps, dtype: WeightType): number {
  return dtype === 'bfloat16' ? raw.BFLOAT16 : dtype === 'float16' ? raw.HALF : raw.FLOAT;
}

/**
 * Tensors over a stored matrix, made when they are first needed. TensorFlow has no packed types: their rows are unpacked here,
 * for each product, so that what is held stays as small as what is stored.
 */
export class StoredMatrix implements BlockedMatrix {
  readonly dtype: number;
  readonly host: HostMatrix;
  readonly isPacked: boolean;
  private readonly raw: RawOps;
  private wholeId: number | undefined;
  private blockIds: number[] = [];
  private blockList: Block[] | undefined;

  constructor(raw: RawOps, host: HostMatrix) {
    this.raw = raw;
    this.host = host;
    this.isPacked = isPacked(host.dtype);
    this.dtype = tensorType(raw, host.dtype);
  }

  get rows(): number {
    return this.host.rows;
  }

  get columns(): number {
    return this.host.columns;
  }

  get heldBytes(): number {
    return this.host.heldBytes;
  }

  get needsWidening(): boolean {
    return this.isPacked || this.dtype !== this.raw.FLOAT;
  }

  wide(): number {
    return this.isPacked
      ? this.unpacked({ start: 0, stop: this.rows })
      : this.raw.cast(this.whole(), this.dtype, this.raw.FLOAT);
  }

  /** The matrix as one tensor, as it is stored, which is not packed. Belongs to this object. */
  whole(): number {
    this.wholeId ??= this.raw.matrix(this.host.bytes, this.rows, this.columns, this.dtype);
    return this.wholeId;
  }

  /** The matrix as blocks of rows. */
  blocks(): readonly Block[] {
    this.blockList ??= this.host.blocks(BLOCK_NUMBERS).map((range) => {
      const block = { start: range.start, rows: range.stop - range.start };
      if (this.isPacked) return { ...block, stored: undefined, wide: () => this.unpacked(range) };
      // Over the same memory.
      const stored = this.raw.matrix(this.host.rowRange(range), block.rows, this.columns, this.dtype);
      this.blockIds.push(stored);
      return { ...block, stored, wide: () => this.raw.cast(stored, this.dtype, this.raw.FLOAT) };
    });
    return this.blockList;
  }

  private unpacked(range: RowRange): number {
    const values = widenStored(this.host.rowRange(range), this.host);
    return this.raw.floats(values, range.stop - range.start, this.columns);
  }

  [Symbol.dispose](): void {
    if (this.wholeId !== undefined) this.raw.delete(this.wholeId);
    this.raw.delete(...this.blockIds);
    this.wholeId = undefined;
    this.blockIds = [];
    this.blockList = undefined;
    this.host[Symbol.dispose]();
  }
}
