/** Stored matrices in the memory of this process, for engines that multiply there or copy from there. */
import { ExhaustedError } from '../errors.ts';
import type { RowRange } from '../formats/tensor-file.ts';
import type { MatrixSource, WeightType } from './backend.ts';
import type { Lifetime, Storage } from './engine.ts';
import { rowBlocks, storedBytes } from './weight-source.ts';

/** The bytes of a stored matrix [rows, columns]. */
export class HostMatrix implements Storage {
  readonly rows: number;
  readonly columns: number;
  readonly dtype: WeightType;
  readonly bytes: Uint8Array;
  private readonly giveBack: () => void;

  constructor({ shape, dtype }: MatrixSource, bytes: Uint8Array, giveBack: () => void) {
    [this.rows, this.columns] = shape;
    this.dtype = dtype;
    this.bytes = bytes;
    this.giveBack = giveBack;
  }

  get heldBytes(): number {
    return this.bytes.byteLength;
  }

  rowRange({ start, stop }: RowRange): Uint8Array {
    const rowBytes = this.bytes.byteLength / this.rows;
    return this.bytes.subarray(start * rowBytes, stop * rowBytes);
  }

  /** The whole matrix as ranges of rows with at most `blockNumbers` numbers each, or one row where that has more. */
  blocks(blockNumbers: number): RowRange[] {
    return rowBlocks([this.rows, this.columns], blockNumbers);
  }

  [Symbol.dispose](): void {
    this.giveBack();
  }
}

/**
 * Where an engine takes memory for stored matrices from. That of streamed ones is used again and again, because JavaScript's
 * collector is too slow to free such buffers in time.
 */
export class HostMemory {
  private readonly allocate: (byteLength: number) => Uint8Array;
  /** The largest buffer that is not in use. */
  private spare: Uint8Array | undefined;

  /** @param allocate new memory, that starts at a multiple of 4 in its ArrayBuffer and need not be zeroed */
  constructor(allocate: (byteLength: number) => Uint8Array) {
    this.allocate = allocate;
  }

  /** Reads a whole matrix. Throws `ExhaustedError` when there is no memory for it, else what reading throws. */
  async read(source: MatrixSource, lifetime: Lifetime): Promise<HostMatrix> {
    if (source.bytes) return new HostMatrix(source, source.bytes, () => undefined);
    const byteLength = storedBytes(source);
    const buffer =
      (lifetime === 'streamed' && this.takeSpare(byteLength)) || this.newBuffer(source, byteLength);
    const matrix = new HostMatrix(source, buffer.subarray(0, byteLength), () => {
      if (lifetime === 'streamed') this.keepSpare(buffer);
    });
    try {
      await source.readInto(matrix.bytes, { start: 0, stop: matrix.rows });
    } catch (error) {
      matrix[Symbol.dispose]();
      throw error;
    }
    return matrix;
  }

  private newBuffer({ name }: MatrixSource, byteLength: number): Uint8Array {
    try {
      return this.allocate(byteLength);
    } catch (cause) {
      throw new ExhaustedError({
        code: 'out_of_memory',
        message: `${name} needs ${byteLength} bytes of memory, which are not available`,
        hint: 'Close other programs, or use a smaller model or set.',
        cause,
      });
    }
  }

  private takeSpare(byteLength: number): Uint8Array | undefined {
    const { spare } = this;
    if (!spare || spare.byteLength < byteLength) return undefined;
    this.spare = undefined;
    return spare;
  }

  private keepSpare(buffer: Uint8Array): void {
    if (!this.spare || this.spare.byteLength < buffer.byteLength) this.spare = buffer;
  }
}
