/**
 * Attribution: rows on disk, so that a long attribution outlives its process. One line of JSON says what the rows belong to;
 * then come records, only ever appended: the number of features (uint32), a SHA-256 of what follows, the features (int32),
 * their rows over all columns (float32). A record that was cut short, or whose sum is wrong, ends the file.
 */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdir, open, rm, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { BadFileError } from '../errors.ts';
import { writingError } from '../formats/system-errors.ts';
import type { RowStore, StoredRows } from './attribute.ts';

const FORMAT = 'tracer.rows 1';
const COUNT_BYTES = 4;
const DIGEST_BYTES = 32;
const HEAD_BYTES = COUNT_BYTES + DIGEST_BYTES;
const NUMBER_BYTES = 4;
/** A fingerprint is a few lines; what has no end of line before this is no such file. */
const LARGEST_HEADER_BYTES = 65_536;

/** Everything that rows depend on, by names that a person understands. Values are compared as they are. */
export type Fingerprint = Readonly<Record<string, string | number | null>>;

/** Where the row of a feature lies in the file. */
type Places = Map<number, number>;

/** Rows of an attribution that can be gone on with. To be closed, or removed when the graph is complete. */
export class RowFile implements RowStore {
  readonly path: string;
  readonly #handle: FileHandle;
  readonly #n_columns: number;
  readonly #places: Places;
  #end: number;

  private constructor(file: string, handle: FileHandle, n_columns: number, places: Places, end: number) {
    this.path = file;
    this.#handle = handle;
    this.#n_columns = n_columns;
    this.#places = places;
    this.#end = end;
  }

  /**
   * Opens the rows at `file`, or begins them. Throws `BadFileError` when they belong to something else, which is named,
   * and `ExhaustedError` when the place cannot be written.
   */
  static async open(file: string, fingerprint: Fingerprint, n_columns: number): Promise<RowFile> {
    const handle = await openHandle(file);
    try {
      const header = Buffer.from(`${JSON.stringify({ format: FORMAT, n_columns, ...fingerprint })}\n`);
      const found = await readHeader(file, handle);
      if (found === undefined) {
        await handle.truncate(0);
        await handle.write(header, 0, header.byteLength, 0);
        return new RowFile(file, handle, n_columns, new Map(), header.byteLength);
      }
      checkFingerprint(file, found.fields, { format: FORMAT, n_columns, ...fingerprint });
      const { places, end } = await readRecords(handle, found.bytes, n_columns);
      await handle.truncate(end);
      return new RowFile(file, handle, n_columns, places, end);
    } catch (error) {
      await handle.close();
      throw writingError(file, error);
    }
  }

  get n_rows(): number {
    return this.#places.size;
  }

  /** Rows [features.length, n_columns] when all of them are here. */
  async take(features: Int32Array): Promise<Float32Array | undefined> {
    const places = Array.from(features, (feature) => this.#places.get(feature));
    if (places.includes(undefined)) return undefined;
    const rows = new Float32Array(features.length * this.#n_columns);
    for (const [i, place] of places.entries()) {
      const row = rows.subarray(i * this.#n_columns, (i + 1) * this.#n_columns);
      await readFully(this.#handle, new Uint8Array(row.buffer, row.byteOffset, row.byteLength), place!);
    }
    return rows;
  }

  async keep({ features, rows }: StoredRows): Promise<void> {
    const record = encodeRecord(features, rows);
    try {
      for (let written = 0; written < record.byteLength;) {
        const { bytesWritten } = await this.#handle.write(
          record,
          written,
          record.byteLength - written,
          this.#end + written,
        );
        written += bytesWritten;
      }
    } catch (error) {
      throw writingError(this.path, error);
    }
    addPlaces(this.#places, features, this.#end, this.#n_columns);
    this.#end += record.byteLength;
  }

  /** The rows are in a finished graph: nobody needs them any more. */
  async remove(): Promise<void> {
    await this.#handle.close();
    await rm(this.path, { force: true });
  }

  /** Leaves the rows for another process; where there are none, no file. */
  async close(): Promise<void> {
    await this.#handle.close();
    if (this.n_rows === 0) await rm(this.path, { force: true });
  }
}

async function openHandle(file: string): Promise<FileHandle> {
  try {
    await mkdir(path.dirname(path.resolve(file)), { recursive: true });
    return await open(file, constants.O_RDWR | constants.O_CREAT);
  } catch (error) {
    throw writingError(file, error);
  }
}

/** Fills `target` from `offset` on; false when the file ends before. */
async function readFully(handle: FileHandle, target: Uint8Array, offset: number): Promise<boolean> {
  for (let done = 0; done < target.byteLength;) {
    const { bytesRead } = await handle.read(target, done, target.byteLength - done, offset + done);
    if (bytesRead === 0) return false;
    done += bytesRead;
  }
  return true;
}

/** The header's fields and length; undefined for an empty file and for a header that was cut short. */
async function readHeader(
  file: string,
  handle: FileHandle,
): Promise<{ fields: unknown; bytes: number } | undefined> {
  const { size } = await handle.stat();
  const start = Buffer.alloc(Math.min(size, LARGEST_HEADER_BYTES));
  await readFully(handle, start, 0);
  const end = start.indexOf('\n');
  const text = start.subarray(0, end < 0 ? start.byteLength : end).toString();
  // Nothing but the beginning of a header can be started anew without losing anything.
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

async function readRecords(
  handle: FileHandle,
  start: number,
  n_columns: number,
): Promise<{ places: Places; end: number }> {
  const { size } = await handle.stat();
  const places: Places = new Map();
  let at = start;
  for (;;) {
    const head = Buffer.alloc(HEAD_BYTES);
    if (at + HEAD_BYTES > size) break;
    await readFully(handle, head, at);
    const count = head.readUInt32LE(0);
    const bodyBytes = count * NUMBER_BYTES * (1 + n_columns);
    if (at + HEAD_BYTES + bodyBytes > size) break;
    const body = new Uint8Array(bodyBytes);
    await readFully(handle, body, at + HEAD_BYTES);
    if (!digest(body).equals(head.subarray(COUNT_BYTES))) break;
    addPlaces(places, new Int32Array(body.buffer, 0, count), at, n_columns);
    at += HEAD_BYTES + bodyBytes;
  }
  return { places, end: at };
}

function addPlaces(places: Places, features: Int32Array, record: number, n_columns: number): void {
  const rows = record + HEAD_BYTES + features.length * NUMBER_BYTES;
  features.forEach((feature, i) => places.set(feature, rows + i * n_columns * NUMBER_BYTES));
}

function digest(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

function encodeRecord(features: Int32Array, rows: Float32Array): Buffer {
  const record = Buffer.alloc(HEAD_BYTES + features.byteLength + rows.byteLength);
  record.writeUInt32LE(features.length, 0);
  record.set(new Uint8Array(features.buffer, features.byteOffset, features.byteLength), HEAD_BYTES);
  record.set(new Uint8Array(rows.buffer, rows.byteOffset, rows.byteLength), HEAD_BYTES + features.byteLength);
  record.set(digest(record.subarray(HEAD_BYTES)), COUNT_BYTES);
  return record;
}
