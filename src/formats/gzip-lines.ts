/** Files, JSON Lines in gzip: one document a line, read as a stream with bounded memory, whatever is in the file. */
import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { BadFileError } from '../errors.ts';
import { messageOf, openingError } from './system-errors.ts';

const NEWLINE = 0x0a;
const MIB = 2 ** 20;
/** Unpacked. A small file can be packed so that it unpacks to a thousand times its size. */
const LARGEST_UNPACKED_BYTES = 16 * 2 ** 30;

export interface LineLimits {
  /** A longer line is a fault, and not held. */
  readonly longestLineBytes: number;
}

/** A document, or why the line holds none. `number` counts from 1. */
export type JsonLine =
  { readonly number: number; readonly value: unknown } | { readonly number: number; readonly fault: string };

/**
 * The lines that are not empty, some at a time. Throws `BadFileError` for a file that is no gzip or is cut short, `NotFoundError`
 * for one that is not there, and the signal's reason.
 */
export async function* readGzipLines(
  path: string,
  { longestLineBytes }: LineLimits,
  signal?: AbortSignal,
): AsyncGenerator<JsonLine[]> {
  const splitter = new LineSplitter(longestLineBytes);
  const file = createReadStream(path);
  const unpacked = createGunzip();
  file.on('error', (error) => unpacked.destroy(error));
  file.pipe(unpacked);
  let bytes = 0;
  try {
    for await (const chunk of unpacked as AsyncIterable<Buffer>) {
      signal?.throwIfAborted();
      bytes += chunk.length;
      if (bytes > LARGEST_UNPACKED_BYTES)
        throw damaged(path, `it unpacks to more than ${LARGEST_UNPACKED_BYTES / MIB} MiB`);
      const lines = splitter.push(chunk);
      if (lines.length > 0) yield lines;
    }
    const last = splitter.end();
    if (last.length > 0) yield last;
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof BadFileError) throw error;
    const isZlib = /^Z_|^ERR_/.test(String((error as NodeJS.ErrnoException | null)?.code));
    throw isZlib
      ? damaged(path, `it is no whole gzip file (${messageOf(error)})`)
      : openingError(path, error);
  } finally {
    file.destroy();
    unpacked.destroy();
  }
}

class LineSplitter {
  readonly #longestBytes: number;
  #parts: Buffer[] = [];
  #held = 0;
  #isTooLong = false;
  #number = 0;

  constructor(longestBytes: number) {
    this.#longestBytes = longestBytes;
  }

  push(chunk: Buffer): JsonLine[] {
    const lines: JsonLine[] = [];
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      this.#hold(chunk.subarray(start, end));
      this.#finish(lines);
      start = end + 1;
    }
    this.#hold(chunk.subarray(start));
    return lines;
  }

  end(): JsonLine[] {
    const lines: JsonLine[] = [];
    this.#finish(lines);
    return lines;
  }

  #hold(part: Buffer): void {
    this.#held += part.length;
    if (this.#held > this.#longestBytes) {
      this.#isTooLong = true;
      this.#parts = [];
    }
    if (!this.#isTooLong && part.length > 0) this.#parts.push(part);
  }

  #finish(lines: JsonLine[]): void {
    const number = ++this.#number;
    const text = this.#isTooLong ? '' : Buffer.concat(this.#parts).toString('utf8').trim();
    const fault = this.#isTooLong ? `it is longer than ${this.#longestBytes} bytes` : undefined;
    this.#parts = [];
    this.#held = 0;
    this.#isTooLong = false;
    if (fault !== undefined) lines.push({ number, fault });
    else if (text !== '') lines.push(parsed(number, text));
  }
}

function parsed(number: number, text: string): JsonLine {
  try {
    return { number, value: JSON.parse(text) as unknown };
  } catch {
    return { number, fault: 'it is not JSON' }; // why would quote the line
  }
}

function damaged(path: string, why: string): BadFileError {
  return new BadFileError({
    code: 'bad_gzip_lines',
    message: `${path}: ${why}`,
    hint: 'Remove it and fetch it again.',
  });
}
