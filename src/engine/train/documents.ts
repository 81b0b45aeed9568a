/** Engine, verb `train`: documents that are held out, and how many tokens the others have. */
import { NotFoundError } from '../../errors.ts';
import type { CorpusFormat } from '../../features/corpus.ts';
import { DATASET_URI, parseDatasetUri, resolveFiles } from '../../hub/resolve.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { holdOut, NONE_HELD_OUT, readHeldOut, type HeldDocuments } from '../../trainer/held-documents.ts';
import { CORPUS_BEGIN, rowsOf, type RowSource } from '../../trainer/rows.ts';
import { openCorpora, type OpenCorpora } from '../evaluate/corpora.ts';
import { hubClient } from '../names.ts';
import { TRAIN_DEFAULTS, type TrainRequest } from './types.ts';

export async function heldOutOf(
  request: TrainRequest,
  corpora: OpenCorpora,
  tokenizer: Tokenizer,
  format: CorpusFormat,
): Promise<HeldDocuments> {
  if (!request.heldOut) return await holdOut(corpora.all, tokenizer);
  if (request.heldOut.length === 0) return NONE_HELD_OUT;
  using others = await openCorpora(await corpusFiles(request, request.heldOut), format);
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

/** Files of datasets that are read. */
const DATASET_FILES = /\.(?:parquet|jsonl|ndjson|txt)$/i;

/**
 * The files that names of a corpus stand for: files of this machine, and `hf://datasets/owner/name[@revision][/path]`, of which the Parquet,
 * JSON Lines and text files are fetched: a folder's, or the one that the path names.
 */
export async function corpusFiles(request: TrainRequest, names: readonly string[]): Promise<string[]> {
  const client = hubClient(request);
  const files: string[] = [];
  for (const name of names) {
    if (!name.startsWith(DATASET_URI)) {
      files.push(name);
      continue;
    }
    const { subfolder = '', ...reference } = parseDatasetUri(name);
    const isFile = DATASET_FILES.test(subfolder);
    const prefix = subfolder === '' ? '' : `${subfolder}/`;
    const found = await resolveFiles(reference, {
      wanted: (path) => (isFile ? path === subfolder : path.startsWith(prefix) && DATASET_FILES.test(path)),
      client,
      signal: request.signal,
    });
    if (found.files.length === 0) {
      throw new NotFoundError({
        code: 'no_dataset_files',
        message: `${name} has no Parquet, JSON Lines or text file`,
        hint: 'Name a folder or file of the dataset: hf://datasets/owner/name/path. Its refs/convert/parquet revision has Parquet files.',
      });
    }
    for (const { path } of found.files) files.push(found.path(path));
  }
  return files;
}
