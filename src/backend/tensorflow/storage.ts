/** Backend, native TensorFlow: a stored matrix as one tensor or as blocks of rows, over memory that TensorFlow shares. */
import type { Storage } from '../engine.ts';
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

export interface Block {
  readonly id: number;
  readonly start: number;
  readonly rows: number;
}

/** Tensors over a stored matrix, made when they are first needed. */
export class StoredMatrix implements Storage {
  readonly dtype: number;
  private readonly raw: RawOps;
  private readonly host: HostMatrix;
  private wholeId: number | undefined;
  private blockList: Block[] | undefined;

  constructor(raw: RawOps, host: HostMatrix) {
    this.raw = raw;
    this.host = host;
    this.dtype = host.dtype === 'float32' ? raw.FLOAT : host.dtype === 'bfloat16' ? raw.BFLOAT16 : raw.HALF;
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
    return this.dtype !== this.raw.FLOAT;
  }

  /** The matrix as one tensor. Belongs to this object. */
  whole(): number {
    this.wholeId ??= this.raw.matrix(this.host.bytes, this.rows, this.columns, this.dtype);
    return this.wholeId;
  }

  /** The matrix as blocks of rows over the same memory. They belong to this object. */
  blocks(): readonly Block[] {
    this.blockList ??= this.host.blocks(BLOCK_NUMBERS).map(({ start, stop }) => {
      const rows = stop - start;
      const id = this.raw.matrix(this.host.rowRange({ start, stop }), rows, this.columns, this.dtype);
      return { id, start, rows };
    });
    return this.blockList;
  }

  [Symbol.dispose](): void {
    if (this.wholeId !== undefined) this.raw.delete(this.wholeId);
    for (const block of this.blockList ?? []) this.raw.delete(block.id);
    this.wholeId = undefined;
    this.blockList = undefined;
    this.host[Symbol.dispose]();
  }
}
