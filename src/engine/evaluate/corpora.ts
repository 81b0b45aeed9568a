/** Engine, verb `evaluate`: the files of a corpus. */
import { BadFileError, UsageError } from '../../errors.ts';
import { Corpus, type CorpusFormat } from '../../features/corpus.ts';

export interface OpenCorpora extends Disposable {
  readonly all: readonly Corpus[];
}

/** Throws `UsageError` where none is named, and what opening them throws. */
export async function openCorpora(paths: readonly string[], format: CorpusFormat = {}): Promise<OpenCorpora> {
  if (paths.length === 0) {
    throw new UsageError({
      code: 'no_corpus',
      message: 'no corpus is named',
      hint: 'Give --corpus FILE: text with one document a line, or JSON Lines with "text".',
    });
  }
  const all: Corpus[] = [];
  const close = (): void => all.forEach((corpus) => corpus[Symbol.dispose]());
  try {
    for (const path of paths) all.push(await Corpus.open(path, format));
    return { all, [Symbol.dispose]: close };
  } catch (error) {
    close();
    throw error;
  }
}

export function totalBytes(corpora: readonly Corpus[]): number {
  return corpora.reduce((sum, { bytes }) => sum + bytes, 0);
}

export function noTokens(paths: readonly string[]): BadFileError {
  return new BadFileError({
    code: 'empty_corpus',
    message: `${paths.join(', ')}: there is no document with a token to measure`,
    hint: 'A corpus is text with one document a line, or JSON Lines with "text" (FILE.jsonl).',
  });
}
