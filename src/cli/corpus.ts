/** A corpus from standard input: it is read twice, so it is put into a file first, which is removed afterwards. */
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { UsageError } from '../errors.ts';

const STANDARD_INPUT = '-';
/** The first character of JSON Lines. */
const JSON_START = /^\s*\{/;

/**
 * Calls `work` with the files of a corpus; what standard input has begins with `{` if it is JSON Lines. Throws `UsageError` when it is
 * named twice.
 */
export async function withCorpusFiles<T>(
  names: readonly string[],
  stdin: Readable,
  signal: AbortSignal,
  work: (paths: readonly string[]) => Promise<T>,
): Promise<T> {
  const n = names.filter((name) => name === STANDARD_INPUT).length;
  if (n === 0) return await work(names);
  if (n > 1) {
    throw new UsageError({
      code: 'two_inputs',
      message: `--corpus names standard input ${n} times`,
      hint: 'Give - once.',
    });
  }
  const folder = await mkdtemp(join(tmpdir(), 'tracer-corpus-'));
  try {
    const written = await spooled(folder, stdin, signal);
    return await work(names.map((name) => (name === STANDARD_INPUT ? written : name)));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function spooled(folder: string, stdin: Readable, signal: AbortSignal): Promise<string> {
  const chunks = (stdin as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  const first = await chunks.next();
  const start = first.done ? Buffer.alloc(0) : first.value;
  const path = join(
    folder,
    JSON_START.test(start.toString('utf8')) ? 'standard-input.jsonl' : 'standard-input.txt',
  );
  const all = async function* (): AsyncGenerator<Buffer, void, undefined> {
    yield start;
    for (let next = await chunks.next(); !next.done; next = await chunks.next()) yield next.value;
  };
  await pipeline(Readable.from(all()), createWriteStream(path), { signal });
  return path;
}
