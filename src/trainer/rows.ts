/** Trainer: the token rows of a corpus, one after the other: documents packed into contexts, and where reading goes on after each. */
import { idsOf, type DocumentSource, type CorpusPosition } from '../features/corpus.ts';
import { windowsOf } from '../features/build.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';

/** How far a corpus was read. */
export interface RowPlace {
  /** Index of the file, and the document in it that is read next, or of which the first tokens were read. */
  readonly file: number;
  readonly place: CorpusPosition;
  /** Tokens of that document that rows have already, or windows where documents are not packed. */
  readonly used: number;
  /** Documents before it. */
  readonly n_documents: number;
}

const FILE_START: CorpusPosition = { offset: 0, line: 0 };
export const CORPUS_BEGIN: RowPlace = { file: 0, place: FILE_START, used: 0, n_documents: 0 };

export interface RowSource {
  readonly corpora: readonly DocumentSource[];
  readonly tokenizer: Pick<Tokenizer, 'encode'>;
  /** Put in front of every row; null for nothing. */
  readonly bosId: number | null;
  /** Put behind every document. */
  readonly separatorId: number;
  /** Tokens of a row, BOS included. */
  readonly context: number;
  /** Documents follow one another in a row; else each begins a row of its own, which may be shorter than the context. */
  readonly isPacked: boolean;
  /** Whether a document, by its number, is kept for evaluation. */
  readonly isHeldOut: (document: number) => boolean;
}

export interface Row {
  readonly tokens: readonly number[];
  readonly after: RowPlace;
}

/**
 * Rows from a place on. The last tokens of a corpus that do not fill a context are left out where documents are packed. Documents
 * that are given as token ids are rows by themselves, with nothing in front.
 */
export async function* rowsOf(source: RowSource, from: RowPlace): AsyncGenerator<Row, void, undefined> {
  const { corpora, tokenizer, bosId, separatorId, context, isPacked, isHeldOut } = source;
  const first = bosId === null ? [] : [bosId];
  const size = context - first.length;
  let pending: number[] = [];
  let { used, n_documents } = from;
  for (let file = from.file; file < corpora.length; file++) {
    const start = file === from.file ? from.place : FILE_START;
    for await (const document of corpora[file]!.documents(start)) {
      const { place, next } = document;
      if (isHeldOut(n_documents)) {
        n_documents += 1;
        continue;
      }
      const ids = idsOf(document, tokenizer);
      const at = (used: number): RowPlace => ({ file, place, used, n_documents });
      const behind: RowPlace = { file, place: next, used: 0, n_documents: n_documents + 1 };
      if (isPacked && !document.tokens) {
        const all = [...ids, separatorId];
        for (let i = used; i < all.length;) {
          const taken = Math.min(size - pending.length, all.length - i);
          pending = pending.concat(all.slice(i, i + taken));
          i += taken;
          if (pending.length < size) continue;
          yield { tokens: [...first, ...pending], after: i === all.length ? behind : at(i) };
          pending = [];
        }
      } else {
        const windows = windowsOf(document, { tokenizer, bosId, context });
        for (let i = used; i < windows.length; i++) {
          yield { tokens: windows[i]!, after: i + 1 === windows.length ? behind : at(i + 1) };
        }
      }
      used = 0;
      n_documents += 1;
    }
  }
}
