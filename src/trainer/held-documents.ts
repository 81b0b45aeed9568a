/** Trainer: documents of a corpus that nothing is trained on, for evaluation. */
import { idsOf, type DocumentSource, type Document } from '../features/corpus.ts';
import { windowsOf } from '../features/build.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';

export interface HeldDocuments {
  readonly documents: readonly Pick<Document, 'text' | 'tokens'>[];
  /** Whether a document of the corpus, by its number, is one of them. */
  readonly isHeldOut: (document: number) => boolean;
}

/** One of so many documents is held out, until there are enough tokens. */
const STRIDE = 20;
const ENOUGH_TOKENS = 16_384;

/** Reads as much of the corpus as it needs. Of fewer documents than `STRIDE` the last is held out; of one, none. */
export async function holdOut(
  corpora: readonly DocumentSource[],
  tokenizer: Pick<Tokenizer, 'encode'>,
): Promise<HeldDocuments> {
  const documents: Document[] = [];
  let number = 0;
  let n_tokens = 0;
  let last: Document | null = null;
  for (const corpus of corpora) {
    for await (const document of corpus.documents({ offset: 0, line: 0 })) {
      last = document;
      if (number++ % STRIDE !== STRIDE - 1) continue;
      documents.push(document);
      n_tokens += idsOf(document, tokenizer).length;
      if (n_tokens < ENOUGH_TOKENS) continue;
      const limit = number;
      return { documents, isHeldOut: (i) => i < limit && i % STRIDE === STRIDE - 1 };
    }
  }
  if (documents.length > 0) return { documents, isHeldOut: (i) => i % STRIDE === STRIDE - 1 };
  if (number < 2) return NONE_HELD_OUT;
  return { documents: [last!], isHeldOut: (i) => i === number - 1 };
}

export const NONE_HELD_OUT: HeldDocuments = { documents: [], isHeldOut: () => false };

/** All documents of files that are for evaluation alone, up to enough tokens. */
export async function readHeldOut(
  corpora: readonly DocumentSource[],
  tokenizer: Pick<Tokenizer, 'encode'>,
): Promise<HeldDocuments> {
  const documents: Document[] = [];
  let n_tokens = 0;
  for (const corpus of corpora) {
    for await (const document of corpus.documents({ offset: 0, line: 0 })) {
      if (n_tokens >= ENOUGH_TOKENS) return { ...NONE_HELD_OUT, documents };
      documents.push(document);
      n_tokens += idsOf(document, tokenizer).length;
    }
  }
  return { ...NONE_HELD_OUT, documents };
}

/** Their rows, as `tracer evaluate` reads them: each document begins one. */
export function heldRows(
  { documents }: HeldDocuments,
  tokenizer: Pick<Tokenizer, 'encode'>,
  bosId: number | null,
  context: number,
): (readonly number[])[] {
  const rows: (readonly number[])[] = [];
  let n_tokens = 0;
  for (const document of documents) {
    for (const row of windowsOf(document, { tokenizer, bosId, context })) {
      if (n_tokens >= ENOUGH_TOKENS) return rows;
      rows.push(row);
      n_tokens += row.length;
    }
  }
  return rows;
}

/** The lines of a corpus that `tracer evaluate` reads. */
export function jsonLinesOf({ documents }: HeldDocuments): string {
  return documents.map(({ text, tokens }) => `${JSON.stringify(tokens ? { tokens } : { text })}\n`).join('');
}
