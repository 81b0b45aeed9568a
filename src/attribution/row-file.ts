/**
 * Attribution: rows on disk, so that a long attribution can be resumed. One line of JSON says what the rows belong to; then
 * come records, only ever appended: the number of features and of columns (uint32 each), the first bytes of a SHA-256 of
 * the columns' features, a SHA-256 of all else in the record, the features (int32), their rows (float32). A record that was cut
 * short, or whose sum is wrong, ends the file.
 */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open, rm, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { BadFileError, UsageError } from '../errors.ts';
import { acquireLock } from '../formats/lock.ts';
import { makeFolder } from '../formats/output-path.ts';
import { readFully, writeFully } from '../formats/positioned.ts';
import { writingError } from '../formats/system-errors.ts';
import type { RowColumns } from '../graph/row-columns.ts';
import type { RowStore, StoredRows } from './attribute.ts';

const FORMAT = 'tracer.rows 2';
const NUMBER_BYTES = 4;
/** Where the parts of a record begin. */
const COLUMNS_AT = 2 * NUMBER_BYTES;
const COLUMNS_ID_BYTES = 8;
const DIGEST_AT = COLUMNS_AT + COLUMNS_ID_BYTES;
const DIGEST_BYTES = 32;
const HEAD_BYTES = DIGEST_AT + DIGEST_BYTES;
/** A fingerprint is a few lines; what has no end of line before this is no such file. */
const LARGEST_HEADER_BYTES = 65_536;

/** Everything that rows depend on, by names that a person understands. Values are compared as they are. */
export type Fingerprint = Readonly<Record<string, string | number | null>>;

/** Where the row of a feature lies in the file; by which columns the row has (their id in hexadecimal), then by feature. */
type Places = Map<string, Map<number, number>>;

/** Rows of an attribution that can be resumed. Remove it when the graph is complete, else close it, as `await using` does. */
export class RowFile implements RowStore, AsyncDisposable {
  readonly path: string;
  readonly #handle: FileHandle;
  readonly #places: Places;
  readonly #release: Release;
  #end: number;
  #n_taken = 0;
  /** Of the columns that were used last: there are few, and many batches. */
  #columns: { readonly columns: RowColumns; readonly id: Buffer } | undefined;
  #isClosed = false;

  private constructor(file: string, { handle, release }: Held, places: Places, end: number) {
    this.path = file;
    this.#handle = handle;
    this.#release = release;
    this.#places = places;
    this.#end = end;
  }

  /**
   * Opens the rows at `file`, or begins them. Throws `BadFileError` when they belong to something else, which is named,
   * `UsageError` while another attribution has them open, and `ExhaustedError` when the place cannot be written.
   */
  static async open(file: string, fingerprint: Fingerprint): Promise<RowFile> {
    const held = await hold(file);
    const { handle } = held;
    try {
      const header = Buffer.from(`${JSON.stringify({ format: FORMAT, ...fingerprint })}\n`);
      const found = await readHeader(file, handle);
      if (found === undefined) {
        await handle.truncate(0);
        await writeFully(handle, header, 0);
        return new RowFile(file, held, new Map(), header.byteLength);
      }
      checkFingerprint(file, found.fields, { format: FORMAT, ...fingerprint });
      const { places, end } = await readRecords(handle, found.bytes);
      await handle.truncate(end);
      return new RowFile(file, held, places, end);
    } catch (error) {
      await handle.close();
      await held.release();
      throw writingError(file, error);
    }
  }

  get n_rows(): number {
    return Array.from(this.#places.values()).reduce((sum, { size }) => sum + size, 0);
  }

  /** Rows that were taken. */
  get n_taken(): number {
    return this.#n_taken;
  }

  /** Rows [features.length, n_columns] when all of them are here with these columns. */
  async take(features: Int32Array, columns: RowColumns): Promise<Float32Array | undefined> {
    const known = this.#places.get(this.#idOf(columns).toString('hex'));
    const places = Array.from(features, (feature) => known?.get(feature));
    if (places.includes(undefined)) return undefined;
    const { n_columns } = columns;
    const rows = new Float32Array(features.length * n_columns);
    for (const [i, place] of places.entries()) {
      const row = rows.subarray(i * n_columns, (i + 1) * n_columns);
      const bytes = bytesOf(row);
      if ((await readFully(this.#handle, bytes, place!)) < bytes.byteLength) throw this.#wasCut();
    }
    this.#n_taken += features.length;
    return rows;
  }

  async keep({ features, columns, rows }: StoredRows): Promise<void> {
    const record = encodeRecord(features, rows, this.#idOf(columns));
    try {
      await writeFully(this.#handle, record, this.#end);
    } catch (error) {
      throw writingError(this.path, error);
    }
    addPlaces(this.#places, record, this.#end);
    this.#end += record.byteLength;
  }

  /** Deletes the file, when its rows are in a finished graph. */
  async remove(): Promise<void> {
    await this.#leave(false);
  }

  /** Leaves the rows for another process; where there are none, no file. Does nothing when it is closed already. */
  async close(): Promise<void> {
    if (!this.#isClosed) await this.#leave(this.n_rows > 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #leave(isKept: boolean): Promise<void> {
    this.#isClosed = true;
    await this.#handle.close();
    if (!isKept) await rm(this.path, { force: true });
    await this.#release();
  }

  #wasCut(): BadFileError {
    return new BadFileError({
      code: 'rows_cut',
      message: `${this.path} ends before byte ${this.#end}, which it had: another program has shortened it`,
      hint: 'Repeat the command: it continues with the rows that are left.',
    });
  }

  #idOf(columns: RowColumns): Buffer {
    if (this.#columns?.columns !== columns) {
      const id = createHash('sha256')
        .update(bytesOf(columns.features))
        .digest()
        .subarray(0, COLUMNS_ID_BYTES);
      this.#columns = { columns, id };
    }
    return this.#columns.id;
  }
}

type Release = () => Promise<void>;

/** A file that no other attribution has open. */
interface Held {
  readonly handle: FileHandle;
  readonly release: Release;
}

/** Two writers would write their records at the same offsets. */
async function hold(file: string): Promise<Held> {
  try {
    await makeFolder(path.dirname(path.resolve(file)));
    const lock = await acquireLock(`${file}.lock`, {
      onWait: () => {
        throw inUse(file);
      },
    });
    const release = (): Promise<void> => Promise.resolve(lock[Symbol.asyncDispose]());
    try {
      return { handle: await open(file, constants.O_RDWR | constants.O_CREAT), release };
    } catch (error) {
      await release();
      throw error;
    }
  } catch (error) {
    throw writingError(file, error);
  }
}

function inUse(file: string): UsageError {
  return new UsageError({
    code: 'rows_in_use',
    message: `another attribution is writing its rows to ${file}`,
    hint: 'Wait until it is done, or give --output another name.',
  });
}

/** The header's fields and length; undefined for an empty file and for a header that was cut short. */
async function readHeader(
  file: string,
  handle: FileHandle,
): Promise<{ fields: unknown; bytes: number } | undefined> {
  const { size } = await handle.stat();
  const buffer = Buffer.alloc(Math.min(size, LARGEST_HEADER_BYTES));
  const start = buffer.subarray(0, await readFully(handle, buffer, 0));
  const end = start.indexOf('\n');
  const text = start.subarray(0, end < 0 ? start.byteLength : end).toString();
  // With nothing but the beginning of a header, the file can be begun anew: it has no rows yet.
  if (end < 0 && (text === '' || '{"format":"tracer.rows'.startsWith(text.slice(0, 22)))) return undefined;
  try {
    return { fields: JSON.parse(text), bytes: end + 1 };
  } catch (cause) {
    throw notRows(file, cause);
  }
}

function notRows(file: string, cause?: unknown): BadFileError {
  return new BadFileError({
    code: 'not_rows',
    message: `${file} does not hold the rows of an interrupted attribution`,
    hint: 'Remove it, or give --output another name.',
    cause,
  });
}

function checkFingerprint(file: string, found: unknown, expected: Fingerprint): void {
  if (typeof found !== 'object' || found === null) throw notRows(file);
  const fields = new Map(Object.entries(found));
  if (fields.get('format') !== expected['format']) throw notRows(file);
  for (const [name, value] of Object.entries(expected)) {
    if (fields.get(name) === value) continue;
    throw new BadFileError({
      code: 'other_rows',
      message: `${file} holds rows of another attribution: ${name} is ${JSON.stringify(fields.get(name))}, expected ${JSON.stringify(value)}`,
      hint: 'Remove the file to begin anew, or repeat the command that wrote it.',
    });
  }
}

async function readRecords(handle: FileHandle, start: number): Promise<{ places: Places; end: number }> {
  const { size } = await handle.stat();
  const places: Places = new Map();
  const head = Buffer.alloc(HEAD_BYTES);
  let at = start;
  while (at + HEAD_BYTES <= size) {
    if ((await readFully(handle, head, at)) < HEAD_BYTES) break;
    const [n_features, n_columns] = [head.readUInt32LE(0), head.readUInt32LE(NUMBER_BYTES)];
    const recordBytes = HEAD_BYTES + n_features * (1 + n_columns) * NUMBER_BYTES;
    if (at + recordBytes > size) break;
    const record = Buffer.alloc(recordBytes);
    if ((await readFully(handle, record, at)) < recordBytes) break;
    if (!digest(record).equals(record.subarray(DIGEST_AT, HEAD_BYTES))) break;
    addPlaces(places, record, at);
    at += recordBytes;
  }
  return { places, end: at };
}

function addPlaces(places: Places, record: Buffer, at: number): void {
  const [n_features, n_columns] = [record.readUInt32LE(0), record.readUInt32LE(NUMBER_BYTES)];
  const id = record.subarray(COLUMNS_AT, DIGEST_AT).toString('hex');
  const known = places.get(id) ?? new Map<number, number>();
  places.set(id, known);
  const rows = at + HEAD_BYTES + n_features * NUMBER_BYTES;
  for (let i = 0; i < n_features; i++) {
    const feature = record.readInt32LE(HEAD_BYTES + i * NUMBER_BYTES);
    known.set(feature, rows + i * n_columns * NUMBER_BYTES);
  }
}

/** Of all in a record but the digest itself. */
function digest(record: Uint8Array): Buffer {
  const hash = createHash('sha256').update(record.subarray(0, DIGEST_AT));
  return hash.update(record.subarray(HEAD_BYTES)).digest();
}

function encodeRecord(features: Int32Array, rows: Float32Array, columnsId: Uint8Array): Buffer {
  const record = Buffer.alloc(HEAD_BYTES + features.byteLength + rows.byteLength);
  record.writeUInt32LE(features.length, 0);
  record.writeUInt32LE(rows.length / features.length, NUMBER_BYTES);
  record.set(columnsId, COLUMNS_AT);
  record.set(bytesOf(features), HEAD_BYTES);
  record.set(bytesOf(rows), HEAD_BYTES + features.byteLength);
  record.set(digest(record), DIGEST_AT);
  return record;
}

function bytesOf({ buffer, byteOffset, byteLength }: Int32Array | Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
