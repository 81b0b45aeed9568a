/** Backend, WebGPU: stored matrices in buffers of the device, split where a buffer has no room for all rows. */
import type { RowRange } from '../../formats/tensor-file.ts';
import type { MatrixSource } from '../backend.ts';
import type { Lifetime, Storage } from '../engine.ts';
import { HostMemory } from '../host-memory.ts';
import { rowsOf, storedBytes } from '../weight-source.ts';
import type { Kernels, TensorInfo } from './kernels.ts';
import type { MatrixPart } from './programs.ts';

const WORD_BYTES = 4;

/** Parts and pieces begin at a row whose number is a multiple of it, and so at a whole word, whatever a row's bytes. */
const ROW_GROUP = 4;

/** Bytes that are read and sent to the device at a time. Dawn keeps a copy until the device has them. */
const PIECE_BYTES = 32 * 1024 * 1024;

/**
 * Drivers refuse single allocations that their limits permit (SwiftShader one of its 1 GiB). Also, shaders count bytes of a buffer in
 * 32 bits.
 */
const LARGEST_PART_BYTES = 2 ** 29;

/** Some rows of a matrix in a buffer, which TF.js takes for an int32 vector. */
export interface StoredPart extends MatrixPart {
  readonly words: TensorInfo;
}

/** Bytes that one buffer may have for shaders to read it. */
export function largestPartBytes({ limits }: GPUDevice): number {
  return Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize, LARGEST_PART_BYTES);
}

export class DeviceMatrix implements Storage {
  readonly rows: number;
  readonly columns: number;
  readonly heldBytes: number;
  readonly parts: readonly StoredPart[];
  private readonly kernels: Kernels;

  constructor(kernels: Kernels, source: MatrixSource, mostBytes: number) {
    this.kernels = kernels;
    [this.rows, this.columns] = source.shape;
    this.heldBytes = storedBytes(source);
    this.parts = rowRanges({ start: 0, stop: this.rows }, this.rowBytes, mostBytes).map(({ start, stop }) => {
      const rows = stop - start;
      const words = kernels.makeTensorInfo([Math.ceil((rows * this.rowBytes) / WORD_BYTES)], 'int32');
      kernels.uploadToGPU(words.dataId);
      return { dtype: source.dtype, start, rows, columns: this.columns, words };
    });
  }

  get rowBytes(): number {
    return this.heldBytes / this.rows;
  }

  /** Writes the bytes of whole rows into the part's buffer, the first one being `row` of the part. */
  write(part: StoredPart, row: number, bytes: Uint8Array): void {
    const buffer = this.kernels.tensorMap.get(part.words.dataId).resource!;
    this.kernels.device.queue.writeBuffer(buffer, row * this.rowBytes, wholeWords(bytes));
  }

  [Symbol.dispose](): void {
    for (const { words } of this.parts) this.kernels.disposeData(words.dataId);
  }
}

/** Sends stored matrices to the device piece by piece, so that this process never holds more than a piece. */
export class Uploader {
  private readonly kernels: Kernels;
  private readonly mostBytes: number;
  private readonly memory = new HostMemory((byteLength) => new Uint8Array(byteLength));

  constructor(kernels: Kernels, mostBytes: number) {
    this.kernels = kernels;
    this.mostBytes = mostBytes;
  }

  async store(source: MatrixSource): Promise<DeviceMatrix> {
    const matrix = new DeviceMatrix(this.kernels, source, this.mostBytes);
    try {
      for (const part of matrix.parts) await this.fill(matrix, part, source);
    } catch (error) {
      matrix[Symbol.dispose]();
      throw error;
    }
    return matrix;
  }

  private async fill(matrix: DeviceMatrix, part: StoredPart, source: MatrixSource): Promise<void> {
    const all = { start: part.start, stop: part.start + part.rows };
    const pieces = rowRanges(all, matrix.rowBytes, PIECE_BYTES);
    const lifetime: Lifetime = 'streamed'; // its memory is used again for the next piece
    for (const range of pieces) {
      using piece = await this.memory.read(rowsOf(source, range), lifetime);
      matrix.write(part, range.start - part.start, piece.bytes);
      if (pieces.length > 1) await this.kernels.device.queue.onSubmittedWorkDone();
    }
  }
}

/** Ranges of at most `mostBytes`, or of one group of rows where that has more. */
function rowRanges({ start, stop }: RowRange, rowBytes: number, mostBytes: number): RowRange[] {
  const groups = Math.max(1, Math.floor(mostBytes / (rowBytes * ROW_GROUP)));
  const ranges: RowRange[] = [];
  for (let from = start; from < stop; from += groups * ROW_GROUP)
    ranges.push({ start: from, stop: Math.min(from + groups * ROW_GROUP, stop) });
  return ranges;
}

/** WebGPU writes whole words; only the last rows of a matrix may end within one. */
function wholeWords(bytes: Uint8Array): Uint8Array {
  if (bytes.byteLength % WORD_BYTES === 0) return bytes;
  const padded = new Uint8Array(Math.ceil(bytes.byteLength / WORD_BYTES) * WORD_BYTES);
  padded.set(bytes);
  return padded;
}
