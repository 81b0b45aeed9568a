/**
 * Features, building: the documents of a corpus, one after the other, however long the file is: text with one document a
 * line, or JSON Lines with `text`. Each says where the next one begins, so that reading can continue there later.
 */
import { createHash } from 'node:crypto';
import * as v from 'valibot';
import { BadFileError } from '../errors.ts';
import { jsonObject } from '../formats/json-object.ts';
import { openFileSource, type ByteSource } from '../formats/byte-source.ts';
import { parseJson } from '../formats/json.ts';

const MIB = 2 ** 20;
const CHUNK_BYTES = MIB;
/** A longer line is refused: the whole line and its tokens would have to be in memory. */
const LARGEST_LINE_BYTES = 64 * MIB;
/** Read at both ends to identify a corpus. */
const FINGERPRINT_BYTES = MIB;
const LINE_FEED = 0x0a;

export interface Document {
  readonly text: string;
  /** Where its line begins. */
  readonly place: CorpusPosition;
  /** Where the next line begins. */
  readonly next: CorpusPosition;
}

export interface CorpusPosition {
  readonly offset: number;
  /** Lines before it. */
  readonly line: number;
}

const JsonLine = jsonObject({ text: v.string() });

/** An opened corpus. Dispose it, or take it with `using`. */
export class Corpus implements Disposable {
  readonly path: string;
  readonly bytes: number;
  readonly #source: ByteSource;

  private constructor(path: string, source: ByteSource) {
    this.path = path;
    this.bytes = source.size;
    this.#source = source;
  }

  /** Throws `NotFoundError` without the file, `BadFileError` when it is empty. */
  static async open(path: string): Promise<Corpus> {
    const source = await openFileSource(path);
    if (source.size > 0) return new Corpus(path, source);
    source[Symbol.dispose]();
    throw new BadFileError({
      code: 'empty_corpus',
      message: `${path} is empty`,
      hint: 'A corpus is text with one document a line, or JSON Lines with "text" (FILE.jsonl).',
    });
  }

  /** Length and a hash of both ends: enough to detect that the file was replaced. */
  async fingerprint(): Promise<string> {
    const hash = createHash('sha256').update(`${this.bytes}\n`);
    const length = Math.min(this.bytes, FINGERPRINT_BYTES);
    for (const offset of [0, this.bytes - length]) {
      const part = new Uint8Array(length);
      await this.#source.read(offset, part);
      hash.update(part);
    }
    return hash.digest('hex');
  }

  /** Documents from a position on; empty lines are skipped. Throws `BadFileError` that names the line of one that cannot be read. */
  async *documents(from: CorpusPosition): AsyncGenerator<Document, void, undefined> {
    const isJson = /\.(?:jsonl|ndjson|json)$/i.test(this.path);
    let place = from;
    for await (const bytes of this.#lines(from)) {
      const next = {
        offset: Math.min(this.bytes, place.offset + bytes.byteLength + 1),
        line: place.line + 1,
      };
      const name = `${this.path}, line ${next.line}`;
      const line = decode(bytes, name);
      const text = isJson && line.trim() !== '' ? parseJson(name, line, JsonLine, next.line).text : line;
      if (text.trim() !== '') yield { text, place, next };
      place = next;
    }
  }

  [Symbol.dispose](): void {
    this.#source[Symbol.dispose]();
  }

  /** Lines without their line feed. */
  async *#lines({ offset, line }: CorpusPosition): AsyncGenerator<Buffer, void, undefined> {
    let pending: Buffer[] = [];
    let pendingBytes = 0;
    for (let at = offset; at < this.bytes;) {
      const chunk = Buffer.alloc(Math.min(CHUNK_BYTES, this.bytes - at));
      await this.#source.read(at, chunk);
      at += chunk.byteLength;
      let start = 0;
      for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
        yield Buffer.concat([...pending, chunk.subarray(start, end)]);
        line++;
        pending = [];
        pendingBytes = 0;
        start = end + 1;
      }
      pending.push(chunk.subarray(start));
      pendingBytes += chunk.byteLength - start;
      if (pendingBytes > LARGEST_LINE_BYTES) throw this.#lineTooLong(line + 1);
    }
    if (pendingBytes > 0) yield Buffer.concat(pending);
  }

  #lineTooLong(line: number): BadFileError {
    return new BadFileError({
      code: 'line_too_long',
      message: `${this.path}, line ${line}: more than ${LARGEST_LINE_BYTES / MIB} MiB without a line feed`,
      hint: 'Write one document a line.',
    });
  }
}

function decode(bytes: Buffer, name: string): string {
  try {
    // Also takes a byte order mark away.
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes).replace(/\r$/, '');
  } catch (cause) {
    throw new BadFileError({
      code: 'not_utf8',
      message: `${name}: it is not UTF-8`,
      hint: 'Save the corpus as UTF-8.',
      cause,
    });
  }
}
