/** Standard input as a file, for what is read more than once or not from front to back. The file is removed afterwards. */
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, sep } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { BadFileError, TracerError } from '../errors.ts';

/** What a command takes for a file's name. */
export const STANDARD_INPUT = '-';
/** The name of a file is chosen by so many of its first bytes, where there are as many. */
const START_BYTES = 16;

/**
 * Calls `work` with the file, whose errors call it standard input. Throws `BadFileError` where there is nothing to read.
 * @param nameOf name of the file, from its first bytes
 */
export async function withStandardInput<T>(
  stdin: Readable,
  signal: AbortSignal,
  nameOf: (start: Buffer) => string,
  work: (path: string) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'tracer-stdin-'));
  try {
    const chunks = (stdin as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
    let start = Buffer.alloc(0);
    while (start.length < START_BYTES) {
      const next = await chunks.next();
      if (next.done) break;
      start = Buffer.concat([start, next.value]);
    }
    if (start.length === 0) throw nothingToRead();
    const path = join(folder, nameOf(start));
    const all = async function* (): AsyncGenerator<Buffer, void, undefined> {
      yield start;
      for (let next = await chunks.next(); !next.done; next = await chunks.next()) yield next.value;
    };
    await pipeline(Readable.from(all()), createWriteStream(path), { signal });
    return await work(path).catch((error: unknown) => {
      throw withoutPath(error, path);
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function nothingToRead(): BadFileError {
  return new BadFileError({
    code: 'empty_input',
    message: 'standard input is empty',
    hint: 'Pipe the file into the command, or name it.',
  });
}

/** Nobody knows the folder, which is gone when the error is read. */
function withoutPath(error: unknown, path: string): unknown {
  if (!(error instanceof TracerError) || !error.message.includes(dirname(path))) return error;
  const { exitCode, code, hint, cause } = error;
  const message = error.message.replaceAll(path, 'standard input').replaceAll(join(dirname(path), sep), '');
  return new TracerError(exitCode, { code, message, ...(hint !== undefined && { hint }), cause });
}
