/** Files, step 1: bytes at an offset, from a local file or from memory. All later steps read through `ByteSource`. */
import { closeSync, constants, fstat as fstatOf, open as openAt, read as readAt } from 'node:fs';
import { promisify } from 'node:util';
import { BadFileError } from '../errors.ts';
import { messageOf, notAFile, openingError } from './system-errors.ts';

const [fstat, open, read] = [promisify(fstatOf), promisify(openAt), promisify(readAt)];

/** A place in an open file of this machine. */
export interface FileLocation {
  readonly path: string;
  /**
   * The same object for every place in one opened file, with its size in bytes when it was opened. A descriptor is used again
   * for another file after it was closed.
   */
  readonly file: { readonly size: number };
  /** Of the open file: it is the one whose header was checked, also when another was put under its path. */
  readonly descriptor: number;
  /** Bytes from its start. */
  readonly offset: number;
}

/** Where the bytes of a file come from: a local disk, or a server that answers range requests. */
export interface ByteSource extends Disposable {
  /** How errors name it: a path or an address. */
  readonly name: string;
  /** Total length in bytes. */
  readonly size: number;
  /** Where its first byte lies; undefined for what is not a file of this machine. */
  readonly location?: FileLocation | undefined;
  /** Fills `target` with the bytes from `offset` on. Throws `BadFileError` when the source ends before. */
  read(offset: number, target: Uint8Array): Promise<void>;
}

const MIB = 2 ** 20;
/** Small enough that several threads share one tensor, large enough that a call costs little compared with its copy. */
const CHUNK_BYTES = 4 * MIB;
/** Threads of Node's pool: the page faults of fresh memory then spread over them (measured: 2 GB/s alone, 3 with four). */
const CHUNKS_IN_FLIGHT = 4;

/** Throws `BadFileError` when [offset, offset + length) does not lie inside the source. */
export function checkRange(
  source: { readonly name: string; readonly size: number },
  offset: number,
  length: number,
) {
  if (Number.isSafeInteger(offset) && offset >= 0 && offset + length <= source.size) return;
  throw new BadFileError({
    code: 'file_truncated',
    message: `${source.name}: ${length} bytes are needed at offset ${offset}, but the file has ${source.size} bytes`,
    hint: 'The file is damaged or incomplete. Fetch it again.',
  });
}

/**
 * A local file, read by position; links are followed. Throws `NotFoundError` when it is missing or may not be read,
 * `BadFileError` when it is a folder, pipe or device.
 */
export async function openFileSource(path: string): Promise<ByteSource> {
  // Without O_NONBLOCK the opening of a pipe without a writer would never end. (Windows has no such flag.)
  const flags = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);
  const fd = await open(path, flags).catch((cause: unknown) => {
    throw openingError(path, cause);
  });
  try {
    const stats = await fstat(fd);
    if (!stats.isFile()) throw notAFile(path, stats.isDirectory() ? 'a folder' : 'a device or pipe');
    return new FileSource(path, fd, stats.size);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Bytes in memory that behave like a file; nothing is copied. */
export function memorySource(name: string, bytes: Uint8Array): ByteSource {
  const source = { name, size: bytes.byteLength };
  return {
    ...source,
    read: (offset, target) =>
      new Promise((resolve) => {
        checkRange(source, offset, target.byteLength);
        target.set(bytes.subarray(offset, offset + target.byteLength));
        resolve();
      }),
    [Symbol.dispose]: () => undefined,
  };
}

class FileSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  readonly #fd: number;
  #reading = 0;
  #disposed = false;

  constructor(name: string, fd: number, size: number) {
    this.name = name;
    this.size = size;
    this.#fd = fd;
  }

  get location(): FileLocation {
    return { path: this.name, file: this, descriptor: this.#fd, offset: 0 };
  }

  async read(offset: number, target: Uint8Array): Promise<void> {
    if (this.#disposed) throw new Error(`${this.name} is read after it was closed`);
    checkRange(this, offset, target.byteLength);
    this.#reading++;
    try {
      let next = 0;
      const readChunks = async () => {
        while (next < target.byteLength) {
          const chunk = target.subarray(next, (next += CHUNK_BYTES));
          await this.#fill(offset + chunk.byteOffset - target.byteOffset, chunk);
        }
      };
      const lanes = Math.min(CHUNKS_IN_FLIGHT, Math.ceil(target.byteLength / CHUNK_BYTES));
      await allDone(Array.from({ length: lanes }, readChunks));
    } finally {
      this.#reading--;
      this.#closeWhenIdle();
    }
  }

  /** A call may read less than asked, so it is repeated until the chunk is full. */
  async #fill(offset: number, chunk: Uint8Array): Promise<void> {
    for (let filled = 0; filled < chunk.byteLength;) {
      const { bytesRead } = await read(
        this.#fd,
        chunk,
        filled,
        chunk.byteLength - filled,
        offset + filled,
      ).catch((cause: unknown) => {
        throw new BadFileError({
          code: 'file_unreadable',
          message: `${this.name} cannot be read at offset ${offset + filled}: ${messageOf(cause)}`,
          hint: 'Check the disk, or fetch the file again.',
          cause,
        });
      });
      if (bytesRead === 0) {
        throw new BadFileError({
          code: 'file_truncated',
          message: `${this.name} ends at offset ${offset + filled}; it had ${this.size} bytes when it was opened`,
          hint: 'Another program shortened the file meanwhile. Fetch it again.',
        });
      }
      filled += bytesRead;
    }
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#closeWhenIdle();
  }

  /** A descriptor closed under a running read could be reused for another file, whose bytes would then be read. */
  #closeWhenIdle(): void {
    if (this.#disposed && this.#reading === 0) closeSync(this.#fd);
  }
}

/** Waits for all, also after one has failed, so that nothing still writes into memory that the caller has given up. */
export async function allDone(work: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(work)) {
    if (result.status === 'rejected') throw result.reason;
  }
}
