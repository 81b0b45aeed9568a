/** Standard input as a file, for what is read more than once or not from front to back. The file is removed afterwards. */
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** What a command takes for a file's name. */
export const STANDARD_INPUT = '-';
/** The name of a file is chosen by so many of its first bytes, where there are as many. */
const START_BYTES = 16;

/** Calls `work` with the file. @param nameOf its name, from its first bytes */
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
    const path = join(folder, nameOf(start));
    const all = async function* (): AsyncGenerator<Buffer, void, undefined> {
      yield start;
      for (let next = await chunks.next(); !next.done; next = await chunks.next()) yield next.value;
    };
    await pipeline(Readable.from(all()), createWriteStream(path), { signal });
    return await work(path);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
