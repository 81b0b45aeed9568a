/** Features, fetched: a file for documents that do not fit into memory while the exports of a layer are read. It only grows. */
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { makeFolder } from '../../formats/output-path.ts';
import { readFully, writeFully } from '../../formats/positioned.ts';
import { writingError } from '../../formats/system-errors.ts';

const BUFFER_BYTES = 2 ** 20;
const LENGTH_BYTES = 4;
/** Read at once: an example of 128 tokens is shorter. */
const USUAL_BYTES = 4096;

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
    let bytes = Buffer.alloc(USUAL_BYTES);
    const n = await readFully(this.#handle, bytes, offset);
    const end = LENGTH_BYTES + bytes.readUInt32LE();
    if (end > n) {
      bytes = Buffer.alloc(end);
      await readFully(this.#handle, bytes, offset);
    }
    return JSON.parse(bytes.toString('utf8', LENGTH_BYTES, end)) as unknown;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }
}
