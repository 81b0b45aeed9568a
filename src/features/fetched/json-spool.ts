/** Features, fetched: a file for documents that do not fit into memory while the exports of a layer are read. It only grows. */
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { makeFolder } from '../../formats/output-path.ts';
import { readFully, writeFully } from '../../formats/positioned.ts';
import { writingError } from '../../formats/system-errors.ts';

const BUFFER_BYTES = 2 ** 20;
const LENGTH_BYTES = 4;

export class JsonSpool implements AsyncDisposable {
  readonly #path: string;
  readonly #handle: FileHandle;
  #parts: Buffer[] = [];
  #buffered = 0;
  #written = 0;

  private constructor(path: string, handle: FileHandle) {
    this.#path = path;
    this.#handle = handle;
  }

  /** Empty. */
  static async create(path: string): Promise<JsonSpool> {
    try {
      await makeFolder(dirname(path));
      return new JsonSpool(path, await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC));
    } catch (error) {
      throw writingError(path, error);
    }
  }

  /** Returns where it is. */
  async append(document: object): Promise<number> {
    const text = Buffer.from(JSON.stringify(document));
    const length = Buffer.alloc(LENGTH_BYTES);
    length.writeUInt32LE(text.length);
    const offset = this.#written + this.#buffered;
    this.#parts.push(length, text);
    this.#buffered += LENGTH_BYTES + text.length;
    if (this.#buffered >= BUFFER_BYTES) await this.flush();
    return offset;
  }

  async flush(): Promise<void> {
    const bytes = Buffer.concat(this.#parts);
    this.#parts = [];
    this.#buffered = 0;
    try {
      await writeFully(this.#handle, bytes, this.#written);
    } catch (error) {
      throw writingError(this.#path, error);
    }
    this.#written += bytes.length;
  }

  /** What `append` was given, after a `flush`. */
  async read(offset: number): Promise<unknown> {
    const length = Buffer.alloc(LENGTH_BYTES);
    await readFully(this.#handle, length, offset);
    const text = Buffer.alloc(length.readUInt32LE());
    await readFully(this.#handle, text, offset + LENGTH_BYTES);
    return JSON.parse(text.toString('utf8')) as unknown;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }
}
