/**
 * Features, building: the documents of a corpus, one after the other, however long the file is: text with one document a
 * line, or JSON Lines with `text`, or with token ids. Each says where the next one begins, so that reading can continue there later.
 */
import { createHash } from 'node:crypto';
import * as v from 'valibot';
import { BadFileError } from '../errors.ts';
import { jsonObject, looseJsonObject } from '../formats/json-object.ts';
import { openFileSource, type ByteSource } from '../formats/byte-source.ts';
import { parseJson } from '../formats/json.ts';
import { openParquetColumn, PARQUET_SUFFIX } from '../formats/parquet.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';

const MIB = 2 ** 20;
const CHUNK_BYTES = MIB;
/** Rows of a Parquet file that are read together. */
const PARQUET_ROWS = 1000;
/** A longer line is refused: the whole line and its tokens would have to be in memory. */
const LARGEST_LINE_BYTES = 64 * MIB;
/** Read at both ends to identify a corpus. */
const FINGERPRINT_BYTES = MIB;
const LINE_FEED = 0x0a;

export interface Document {
  readonly text: string;
  /** Where a document is given as token ids, which are taken as they are; its text is empty. */
  readonly tokens?: readonly number[];
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

/** The field of JSON Lines that documents are in. */
const TEXT_FIELD = 'text';
const TOKENS_FIELD = 'tokens';

const TokenIds = v.array(v.pipe(v.number(), v.integer(), v.minValue(0)));

export interface CorpusFormat {
  /** Of JSON Lines: the field with the text; default `text`. */
  readonly field?: string | undefined;
  /** Text files are one document each; default: a document a line. */
  readonly isWhole?: boolean | undefined;
}

/** The token ids of a document. */
export function idsOf(
  { text, tokens }: Pick<Document, 'text' | 'tokens'>,
  tokenizer: Pick<Tokenizer, 'encode'>,
): readonly number[] {
  return tokens ?? tokenizer.encode(text);
}

/** Where documents come from, one after the other. */
export type DocumentSource = Pick<Corpus, 'documents' | 'fingerprint'>;

/** An opened corpus. Dispose it, or take it with `using`. */
export class Corpus implements Disposable {
  readonly path: string;
  readonly bytes: number;
  readonly #source: ByteSource;
  readonly #format: CorpusFormat;

  private constructor(path: string, source: ByteSource, format: CorpusFormat) {
    this.path = path;
    this.#format = format;
    this.bytes = source.size;
    this.#source = source;
  }

  /** Throws `NotFoundError` without the file, `BadFileError` when it is empty. */
  static async open(path: string, format: CorpusFormat = {}): Promise<Corpus> {
    const source = await openFileSource(path);
    if (source.size > 0) return new Corpus(path, source, format);
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
    if (this.path.endsWith(PARQUET_SUFFIX)) {
      yield* this.#ofParquet(from);
      return;
    }
    const isJson = /\.(?:jsonl|ndjson|json)$/i.test(this.path);
    if (this.#format.isWhole && !isJson) {
      yield* this.#whole(from);
      return;
    }
    let place = from;
    for await (const bytes of this.#lines(from)) {
      const next = {
        offset: Math.min(this.bytes, place.offset + bytes.byteLength + 1),
        line: place.line + 1,
      };
      const name = `${this.path}, line ${next.line}`;
      const line = decode(bytes, name);
      if (line.trim() !== '') {
        const found = isJson ? this.#ofJson(name, line, next.line) : { text: line };
        if (found.tokens ? found.tokens.length > 0 : found.text.trim() !== '')
          yield { ...found, place, next };
      }
      place = next;
    }
  }

  /** The file as one document. */
  async *#whole(place: CorpusPosition): AsyncGenerator<Document, void, undefined> {
    if (place.offset >= this.bytes) return;
    if (this.bytes > LARGEST_LINE_BYTES) {
      throw new BadFileError({
        code: 'document_too_long',
        message: `${this.path}: more than ${LARGEST_LINE_BYTES / MIB} MiB in one document`,
        hint: 'Leave --whole-files out to take each line for a document.',
      });
    }
    const bytes = Buffer.alloc(this.bytes);
    await this.#source.read(0, bytes);
    const text = decode(bytes, this.path);
    if (text.trim() !== '') yield { text, place, next: { offset: this.bytes, line: place.line + 1 } };
  }

  /** Rows of a column; a place's offset is its share of the file, for progress. */
  async *#ofParquet(from: CorpusPosition): AsyncGenerator<Document, void, undefined> {
    const { field = TEXT_FIELD } = this.#format;
    const column = await openParquetColumn(this.#source, field);
    const placeOf = (line: number): CorpusPosition => ({
      offset: Math.floor((this.bytes * line) / column.n_rows),
      line,
    });
    for (const [i, start] of column.groups.slice(0, -1).entries()) {
      const stop = column.groups[i + 1]!;
      if (stop <= from.line) continue;
      for (let first = Math.max(start, from.line); first < stop; first += PARQUET_ROWS) {
        const last = Math.min(stop, first + PARQUET_ROWS);
        for (const [row, text] of (await column.read(first, last)).entries()) {
          if (typeof text !== 'string' && text !== null) throw notText(this.path, field, first + row);
          if (text === null || text.trim() === '') continue;
          yield { text, place: placeOf(first + row), next: placeOf(first + row + 1) };
        }
      }
    }
  }

  #ofJson(name: string, line: string, number: number): Pick<Document, 'text' | 'tokens'> {
    const { field = TEXT_FIELD } = this.#format;
    const fields = parseJson(name, line, looseJsonObject({}), number) as Record<string, unknown>;
    const { [field]: text, [TOKENS_FIELD]: tokens } = fields;
    if (typeof text === 'string') return { text };
    if (text === undefined && v.is(TokenIds, tokens)) return { text: '', tokens };
    return { text: parseJson(name, line, jsonObject({ [field]: v.string() }), number)[field]! }; // throws
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

function notText(path: string, field: string, row: number): BadFileError {
  return new BadFileError({
    code: 'bad_document',
    message: `${path}, row ${row}: ${field} is not a text`,
    hint: '--field NAME names the column with the text.',
  });
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
