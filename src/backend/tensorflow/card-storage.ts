/** Backend, TensorFlow on a graphics card: stored matrices as tensors of the card, one for each block of rows. */
import type { MatrixSource } from '../backend.ts';
import { HostMemory } from '../host-memory.ts';
import { rowBlocks, rowsOf, storedBytes } from '../weight-source.ts';
import type { RawOps } from './binding.ts';
import { tensorType, type Block, type BlockedMatrix } from './storage.ts';

/** Numbers in a block: 128 MiB once widened to float32, which is the most that a product widens at a time. */
const BLOCK_NUMBERS = 32 * 1024 * 1024;

/**
 * Memory that is used again as soon as its tensor is made, so TensorFlow must not share it: it shares what starts at a multiple of 64
 * bytes, and allocations start at one of 16.
 */
function unsharedBytes(byteLength: number): Uint8Array {
  const headBytes = 4;
  return Buffer.allocUnsafeSlow(byteLength + headBytes).subarray(headBytes);
}

/** Belongs to the card: nothing of it stays in memory of this process. Not for packed types. */
export class CardMatrix implements BlockedMatrix {
  readonly rows: number;
  readonly columns: number;
  readonly dtype: number;
  readonly heldBytes: number;
  private readonly raw: RawOps;
  private readonly list: Block[] = [];

  constructor(raw: RawOps, source: MatrixSource) {
    this.raw = raw;
    [this.rows, this.columns] = source.shape;
    this.dtype = tensorType(raw, source.dtype);
    this.heldBytes = storedBytes(source);
  }

  blocks(): readonly Block[] {
    return this.list;
  }

  /** Adds the next rows. */
  add(start: number, rows: number, bytes: Uint8Array): void {
    const { raw, dtype } = this;
    const stored = raw.matrix(bytes, rows, this.columns, dtype);
    this.list.push({ start, rows, stored, wide: () => raw.cast(stored, dtype, raw.FLOAT) });
  }

  [Symbol.dispose](): void {
    this.raw.delete(...this.list.map(({ stored }) => stored!));
    this.list.length = 0;
  }
}

/** Sends matrices to the card block by block, so that this process never holds more than a block of one. */
export class CardUploader {
  private readonly raw: RawOps;
  private readonly blockNumbers: number;
  private readonly memory = new HostMemory(unsharedBytes);

  constructor(raw: RawOps, blockNumbers: number = BLOCK_NUMBERS) {
    this.raw = raw;
    this.blockNumbers = blockNumbers;
  }

  async store(source: MatrixSource): Promise<CardMatrix> {
    const matrix = new CardMatrix(this.raw, source);
    try {
      for (const range of rowBlocks(source.shape, this.blockNumbers)) {
        using piece = await this.memory.read(rowsOf(source, range), 'streamed');
        matrix.add(range.start, range.stop - range.start, piece.bytes);
      }
    } catch (error) {
      matrix[Symbol.dispose]();
      throw error;
    }
    return matrix;
  }
}
