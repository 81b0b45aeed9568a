/**
 * Features, building: the file beside the state for data that does not fit into memory: tokens of windows, and where in
 * them a feature was active. It only grows; records that are no longer referenced stay until the end.
 */
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { BadFileError } from '../errors.ts';
import { makeFolder } from '../formats/output-path.ts';
import { readFully, writeFully } from '../formats/positioned.ts';
import { writingError } from '../formats/system-errors.ts';

const BUFFER_BYTES = 2 ** 20;

/** The content of an example record. */
export interface SpooledExample {
  /** Offset of the window's tokens. */
  readonly window: number;
  readonly tokens: Int32Array;
  /** Position at which the feature is strongest. */
  readonly position: number;
  /** Positions and activations, wherever it is active. */
  readonly positions: readonly number[];
  readonly values: readonly number[];
}

const WORD_BYTES = 4;
/** Offset of the window, position, number of active tokens. */
const EXAMPLE_HEAD_BYTES = 8 + 2 * WORD_BYTES;
const EVENT_BYTES = 2 * WORD_BYTES;

export class Spool {
  readonly path: string;
  readonly #handle: FileHandle;
  readonly #buffer = Buffer.alloc(BUFFER_BYTES);
  /** Bytes in the file; those in the buffer follow. */
  #written: number;
  #buffered = 0;

  private constructor(path: string, handle: FileHandle, length: number) {
    this.path = path;
    this.#handle = handle;
    this.#written = length;
  }

  /** Opens it with its first `length` bytes; what follows is of an interrupted run and is cut off. */
  static async open(path: string, length: number): Promise<Spool> {
    try {
      await makeFolder(dirname(path));
      const handle = await open(path, constants.O_RDWR | constants.O_CREAT);
      const spool = new Spool(path, handle, length);
      const { size } = await handle.stat();
      if (size < length) {
        await handle.close();
        throw spool.#damaged(`it has ${size} bytes, its state expects ${length}`);
      }
      await handle.truncate(length);
      return spool;
    } catch (error) {
      throw writingError(path, error);
    }
  }

  get length(): number {
    return this.#written + this.#buffered;
  }

  /** Returns where the record begins. */
  async appendWindow(tokens: ArrayLike<number>): Promise<number> {
    const record = Buffer.alloc(WORD_BYTES * (1 + tokens.length));
    record.writeUInt32LE(tokens.length, 0);
    for (let i = 0; i < tokens.length; i++) record.writeInt32LE(tokens[i]!, WORD_BYTES * (1 + i));
    return await this.#append(record);
  }

  async appendExample({
    window,
    position,
    positions,
    values,
  }: Omit<SpooledExample, 'tokens'>): Promise<number> {
    const record = Buffer.alloc(EXAMPLE_HEAD_BYTES + positions.length * EVENT_BYTES);
    record.writeDoubleLE(window, 0);
    record.writeUInt32LE(position, 8);
    record.writeUInt32LE(positions.length, 8 + WORD_BYTES);
    for (let i = 0; i < positions.length; i++) {
      const at = EXAMPLE_HEAD_BYTES + i * EVENT_BYTES;
      record.writeUInt32LE(positions[i]!, at);
      record.writeFloatLE(values[i]!, at + WORD_BYTES);
    }
    return await this.#append(record);
  }

  /** Writes the buffer and flushes the file to disk. */
  async sync(): Promise<void> {
    try {
      await this.#flush();
      await this.#handle.datasync();
    } catch (error) {
      throw writingError(this.path, error);
    }
  }

  /** The example at an offset that `appendExample` returned. Throws `BadFileError` for anything else. */
  async readExample(offset: number): Promise<SpooledExample> {
    const head = await this.#read(offset, EXAMPLE_HEAD_BYTES);
    const window = head.readDoubleLE(0);
    const n = head.readUInt32LE(8 + WORD_BYTES);
    const events = await this.#read(offset + EXAMPLE_HEAD_BYTES, n * EVENT_BYTES);
    const length = (await this.#read(window, WORD_BYTES)).readUInt32LE(0);
    const words = await this.#read(window + WORD_BYTES, length * WORD_BYTES);
    const each = <T>(count: number, value: (i: number) => T): T[] =>
      Array.from({ length: count }, (_, i) => value(i));
    return {
      window,
      tokens: Int32Array.from(each(length, (i) => words.readInt32LE(i * WORD_BYTES))),
      position: head.readUInt32LE(8),
      positions: each(n, (i) => events.readUInt32LE(i * EVENT_BYTES)),
      values: each(n, (i) => events.readFloatLE(i * EVENT_BYTES + WORD_BYTES)),
    };
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  async #append(record: Buffer): Promise<number> {
    const offset = this.length;
    if (this.#buffered + record.byteLength > BUFFER_BYTES) await this.#flush();
    if (record.byteLength > BUFFER_BYTES) {
      await this.#write(record);
    } else {
      record.copy(this.#buffer, this.#buffered);
      this.#buffered += record.byteLength;
    }
    return offset;
  }

  async #flush(): Promise<void> {
    const pending = this.#buffer.subarray(0, this.#buffered);
    this.#buffered = 0;
    await this.#write(pending);
  }

  async #write(bytes: Buffer): Promise<void> {
    try {
      await writeFully(this.#handle, bytes, this.#written);
    } catch (error) {
      throw writingError(this.path, error);
    }
    this.#written += bytes.byteLength;
  }

  async #read(offset: number, length: number): Promise<Buffer> {
    if (!(offset >= 0 && offset + length <= this.#written))
      throw this.#damaged(`there is no record at ${offset}`);
    const target = Buffer.alloc(length);
    const found = await readFully(this.#handle, target, offset);
    if (found < length) throw this.#damaged(`it ends at ${offset + found}`);
    return target;
  }

  #damaged(why: string): BadFileError {
    return new BadFileError({
      code: 'bad_build_state',
      message: `${this.path} is damaged: ${why}`,
      hint: `Remove ${dirname(this.path)} and build the feature pages anew.`,
    });
  }
}
