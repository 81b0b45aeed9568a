/** A corpus from standard input: it is read twice, so it is put into a file first, which is removed afterwards. */
import type { Readable } from 'node:stream';
import { UsageError } from '../errors.ts';
import { STANDARD_INPUT, withStandardInput } from './standard-input.ts';

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
  const nameOf = (start: Buffer): string =>
    JSON_START.test(start.toString('utf8')) ? 'standard-input.jsonl' : 'standard-input.txt';
  return await withStandardInput(stdin, signal, nameOf, (written) =>
    work(names.map((name) => (name === STANDARD_INPUT ? written : name))),
  );
}
