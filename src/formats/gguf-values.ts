/**
 * Files, step 3 (GGUF): the header's bytes in order, checked before memory is allocated by them.
 * Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */
import { BadFileError } from '../errors.ts';
import type { ByteSource } from './byte-source.ts';
import { shownName } from './shown.ts';
import { allocate } from './tensor-reader.ts';

/** A list of the metadata; its elements are decoded when they are asked for. */
export interface GgufList {
  readonly length: number;
  /** Throws `BadFileError` where a text is not UTF-8. */
  readonly values: () => readonly GgufScalar[];
}
export type GgufScalar = number | bigint | boolean | string;
export type GgufValue = GgufScalar | GgufList;

export function isList(value: GgufValue | undefined): value is GgufList {
  return typeof value === 'object';
}

/** By the format's number; a text has its length in front, a list its element type and length. */
const SCALARS = [
  { name: 'uint8', bytes: 1, read: (view: DataView, at: number) => view.getUint8(at) },
  { name: 'int8', bytes: 1, read: (view: DataView, at: number) => view.getInt8(at) },
  { name: 'uint16', bytes: 2, read: (view: DataView, at: number) => view.getUint16(at, true) },
  { name: 'int16', bytes: 2, read: (view: DataView, at: number) => view.getInt16(at, true) },
  { name: 'uint32', bytes: 4, read: (view: DataView, at: number) => view.getUint32(at, true) },
  { name: 'int32', bytes: 4, read: (view: DataView, at: number) => view.getInt32(at, true) },
  { name: 'float32', bytes: 4, read: (view: DataView, at: number) => view.getFloat32(at, true) },
  { name: 'bool', bytes: 1, read: (view: DataView, at: number) => view.getUint8(at) !== 0 },
  null,
  null,
  { name: 'uint64', bytes: 8, read: (view: DataView, at: number) => plain(view.getBigUint64(at, true)) },
  { name: 'int64', bytes: 8, read: (view: DataView, at: number) => plain(view.getBigInt64(at, true)) },
  { name: 'float64', bytes: 8, read: (view: DataView, at: number) => view.getFloat64(at, true) },
] as const;
const TEXT = 8;
const LIST = 9;

const LENGTH_BYTES = 8;
/** Far above every header: one of 262,144 tokens has 10 MB. */
const LARGEST_HEADER_BYTES = 256 * 2 ** 20;
/** Above a `tokenizer.json` in one text, which some files have. */
const LONGEST_TEXT_BYTES = 64 * 2 ** 20;
const LONGEST_KEY_BYTES = 2 ** 16 - 1;
/** Enough for a header without a tokenizer; each further read is as long as all before. */
const FIRST_READ_BYTES = 2 ** 20;

/** Exact as a number where it can be. */
function plain(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

export function damagedGguf(code: string, message: string, cause?: unknown): BadFileError {
  return new BadFileError({
    code,
    message,
    hint: 'The file is damaged, incomplete or not a GGUF file. Fetch it again.',
    cause,
  });
}

/** Reads a header from its beginning to its end, without knowing its length before. */
export class GgufCursor {
  readonly #source: ByteSource;
  #bytes = new Uint8Array();
  #view = new DataView(this.#bytes.buffer);
  #at = 0;

  constructor(source: ByteSource) {
    this.#source = source;
  }

  /** Bytes read so far. */
  get offset(): number {
    return this.#at;
  }

  get #rest(): number {
    return this.#source.size - this.#at;
  }

  /** The first bytes, to recognise the format by. */
  async magic(length: number): Promise<string> {
    await this.#need(length, 'the magic number');
    return Buffer.from(this.#take(length)).toString('latin1');
  }

  async uint32(what: string): Promise<number> {
    await this.#need(4, what);
    return this.#view.getUint32(this.#skip(4), true);
  }

  /** A count or size: throws above what the rest of the file can hold, at `leastBytes` each. */
  async count(what: string, leastBytes: number): Promise<number> {
    const count = await this.size(what);
    if (count * leastBytes > this.#rest)
      throw this.#damaged(`${what} is ${count}, more than the file's ${this.#source.size} bytes can hold`);
    return count;
  }

  /** A number of 64 bits that has to be exact. */
  async size(what: string): Promise<number> {
    await this.#need(LENGTH_BYTES, what);
    const value = this.#view.getBigUint64(this.#skip(LENGTH_BYTES), true);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw this.#damaged(`${what} is ${value}`);
    return Number(value);
  }

  /** A key or name, not empty. */
  async name(what: string): Promise<string> {
    const name = await this.#text(`the length of ${what}`, LONGEST_KEY_BYTES);
    if (name === '') throw this.#damaged(`${what} is empty`);
    return name;
  }

  /** A value of the metadata. */
  async value(key: string): Promise<GgufValue> {
    const type = await this.uint32(`the type of ${key}`);
    if (type === TEXT) return await this.#text(`the length of ${key}`, LONGEST_TEXT_BYTES);
    if (type === LIST) return await this.#list(key);
    const scalar = this.#scalar(type, key);
    await this.#need(scalar.bytes, key);
    return scalar.read(this.#view, this.#skip(scalar.bytes));
  }

  async #list(key: string): Promise<GgufList> {
    const type = await this.uint32(`the type of the elements of ${key}`);
    if (type === LIST) throw this.#damaged(`${key} is a list of lists, which no model has`);
    const what = `the length of ${key}`;
    if (type === TEXT) {
      const length = await this.count(what, LENGTH_BYTES);
      const start = this.#at;
      const ofText = `the length of a text in ${key}`;
      for (let i = 0; i < length; i++) if (!this.#skipHeldText()) await this.#skipText(ofText);
      return this.#texts(key, length, start);
    }
    const { bytes, read } = this.#scalar(type, key);
    const length = await this.count(what, bytes);
    await this.#need(length * bytes, key);
    const start = this.#skip(length * bytes);
    const values = (): GgufScalar[] => Array.from({ length }, (_, i) => read(this.#view, start + i * bytes));
    return { length, values };
  }

  #texts(key: string, length: number, start: number): GgufList {
    const values = (): string[] => {
      let at = start;
      return Array.from({ length }, () => {
        const bytes = Number(this.#view.getBigUint64(at, true));
        at += LENGTH_BYTES + bytes;
        return this.#decoded(at - bytes, bytes, key);
      });
    };
    return { length, values };
  }

  #scalar(type: number, key: string): NonNullable<(typeof SCALARS)[number]> {
    const scalar = SCALARS[type];
    if (!scalar) throw this.#damaged(`${key} has the type ${type}, which GGUF does not know`);
    return scalar;
  }

  async #text(what: string, longest: number): Promise<string> {
    const length = await this.#textLength(what, longest);
    await this.#need(length, what);
    return this.#decoded(this.#skip(length), length, what);
  }

  /** Passes a text that was read already, without waiting: vocabularies have hundreds of thousands. */
  #skipHeldText(): boolean {
    const start = this.#at + LENGTH_BYTES;
    if (start > this.#bytes.byteLength) return false;
    const length = this.#view.getBigUint64(this.#at, true);
    if (length > BigInt(this.#bytes.byteLength - start)) return false;
    this.#at = start + Number(length);
    return true;
  }

  async #skipText(what: string): Promise<void> {
    const length = await this.#textLength(what, LONGEST_TEXT_BYTES);
    await this.#need(length, what);
    this.#at += length;
  }

  async #textLength(what: string, longest: number): Promise<number> {
    const length = await this.count(what, 1);
    if (length > longest) throw this.#damaged(`${what} is ${length}, expected at most ${longest}`);
    return length;
  }

  #decoded(offset: number, length: number, what: string): string {
    const bytes = this.#bytes.subarray(offset, offset + length);
    try {
      return UTF8.decode(bytes);
    } catch (cause) {
      throw this.#damaged(
        `${what} (${length} bytes at offset ${offset}) is followed by a text that is not UTF-8`,
        cause,
      );
    }
  }

  #skip(length: number): number {
    this.#at += length;
    return this.#at - length;
  }

  #take(length: number): Uint8Array {
    const start = this.#skip(length);
    return this.#bytes.subarray(start, start + length);
  }

  /** Reads on until `length` more bytes are there. */
  async #need(length: number, what: string): Promise<void> {
    const end = this.#at + length;
    if (end <= this.#bytes.byteLength) return;
    const { size, name } = this.#source;
    if (end > size) {
      throw damagedGguf(
        'file_truncated',
        `${name} ends in its header, at ${shownName(what)}: ${length} bytes are needed at offset ${this.#at}, the file has ${size}`,
      );
    }
    if (end > LARGEST_HEADER_BYTES)
      throw this.#damaged(`the header has more than ${LARGEST_HEADER_BYTES} bytes, at ${shownName(what)}`);
    const wanted = Math.max(end, 2 * this.#bytes.byteLength, FIRST_READ_BYTES);
    const grown = allocate(Math.min(wanted, size), `${name}: the header`);
    grown.set(this.#bytes);
    await this.#source.read(this.#bytes.byteLength, grown.subarray(this.#bytes.byteLength));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }

  #damaged(what: string, cause?: unknown): BadFileError {
    return damagedGguf('gguf_header', `${this.#source.name}: ${shownName(what)}`, cause);
  }
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
