/** Evaluation: the windows of a corpus, several at a time, up to so many tokens, and where reading goes on after them. */
import { windowsOf } from '../features/build.ts';
import { type Corpus, type CorpusPosition } from '../features/corpus.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';

/** How far a corpus was read. */
export interface ReadingPlace {
  /** Index of the file, and the document in it that is read next or of which the first windows were read. */
  readonly file: number;
  readonly place: CorpusPosition;
  readonly n_windows_of_document: number;
  readonly n_documents: number;
  readonly n_windows: number;
  /** Tokens that were measured: those that count as inactive are left out. */
  readonly n_tokens: number;
}

const FILE_START: CorpusPosition = { offset: 0, line: 0 };

export const CORPUS_START: ReadingPlace = {
  file: 0,
  place: FILE_START,
  n_windows_of_document: 0,
  n_documents: 0,
  n_windows: 0,
  n_tokens: 0,
};

export interface WindowSource {
  readonly corpora: readonly Corpus[];
  readonly tokenizer: Tokenizer;
  /** Put in front of every window; null for nothing. */
  readonly bosId: number | null;
  /** Tokens of a window, BOS included. */
  readonly context: number;
  /** Leading tokens of a window that count as inactive. */
  readonly n_ignored: number;
  /** Tokens to measure; the last window is cut. Left out: all. */
  readonly maxTokens?: number | undefined;
}

export interface WindowBatch {
  readonly rows: readonly (readonly number[])[];
  readonly next: ReadingPlace;
}

/** Positions that go through a layer together, padding included; more only where one window has more. */
const BATCH_POSITIONS = 512;

/** Batches from a place on. The same place and source give the same batches, so that reading can be interrupted between any two. */
export async function* windowBatches(
  source: WindowSource,
  from: ReadingPlace,
): AsyncGenerator<WindowBatch, void, undefined> {
  let rows: (readonly number[])[] = [];
  let longest = 0;
  let next = from;
  for await (const { row, after } of windows(source, from)) {
    const wider = Math.max(longest, row.length);
    if (rows.length > 0 && wider * (rows.length + 1) > BATCH_POSITIONS) {
      yield { rows, next };
      rows = [];
      longest = 0;
    }
    rows.push(row);
    longest = Math.max(longest, row.length);
    next = after;
  }
  if (rows.length > 0) yield { rows, next };
}

interface ReadWindow {
  readonly row: readonly number[];
  readonly after: ReadingPlace;
}

async function* windows(
  source: WindowSource,
  from: ReadingPlace,
): AsyncGenerator<ReadWindow, void, undefined> {
  const { corpora, tokenizer, bosId, context, n_ignored, maxTokens = Infinity } = source;
  let at = from;
  for (let file = from.file; file < corpora.length; file++) {
    if (file > from.file) at = { ...at, file, place: FILE_START };
    for await (const document of corpora[file]!.documents(at.place)) {
      const { place, next } = document;
      const all = windowsOf(document, { tokenizer, bosId, context });
      for (let i = at.n_windows_of_document; i < all.length; i++) {
        const left = maxTokens - at.n_tokens;
        if (left <= 0) return;
        const row = all[i]!.slice(0, n_ignored + left);
        at = { ...at, place, n_windows_of_document: i + 1 };
        if (row.length <= n_ignored) continue; // nothing to measure
        const n_tokens = at.n_tokens + row.length - n_ignored;
        at = { ...at, n_windows: at.n_windows + 1, n_tokens };
        const isLast = i + 1 === all.length;
        yield { row, after: isLast ? afterDocument(at, next) : at };
      }
      at = afterDocument(at, next);
    }
  }
}

function afterDocument(at: ReadingPlace, next: CorpusPosition): ReadingPlace {
  return { ...at, place: next, n_windows_of_document: 0, n_documents: at.n_documents + 1 };
}
