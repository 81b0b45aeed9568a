/** Engine, verb `train`: documents that are held out, and how many tokens the others have. */
import type { CorpusFormat } from '../../features/corpus.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { holdOut, NONE_HELD_OUT, readHeldOut, type HeldDocuments } from '../../trainer/held-documents.ts';
import { CORPUS_BEGIN, rowsOf, type RowSource } from '../../trainer/rows.ts';
import { openTrainCorpora, type TrainCorpora } from './corpora.ts';
import { TRAIN_DEFAULTS, type TrainRequest } from './types.ts';

export async function heldOutOf(
  request: TrainRequest,
  corpora: TrainCorpora,
  tokenizer: Tokenizer,
  format: CorpusFormat,
): Promise<HeldDocuments> {
  if (!request.heldOut) return await holdOut(corpora.all, tokenizer);
  if (request.heldOut.length === 0) return NONE_HELD_OUT;
  using others = await openTrainCorpora(request, request.heldOut, format);
  return await readHeldOut(others.all, tokenizer);
}

/** An upper bound: special tokens are not trained on. */
export async function countTokens(
  request: TrainRequest,
  rows: RowSource,
  n_ignored: number,
): Promise<number> {
  request.onProgress?.({ kind: 'progress', phase: 'count', message: 'Counting the tokens of the corpus' });
  let n = 0;
  for await (const { tokens } of rowsOf(rows, CORPUS_BEGIN)) {
    request.signal?.throwIfAborted();
    n += Math.max(0, tokens.length - n_ignored);
  }
  return Math.max(1, n * (request.epochs ?? TRAIN_DEFAULTS.epochs));
}
