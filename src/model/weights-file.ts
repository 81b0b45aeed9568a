/** Model: which files of a folder hold the weights. */
import { NotFoundError } from '../errors.ts';
import { openTensorFile } from '../formats/open-tensor-file.ts';
import { openSharded } from '../formats/sharded.ts';
import { openGgufFiles } from './gguf-files.ts';
import type { TensorFile } from '../formats/tensor-file.ts';
import { lacks, type FileSet } from './file-set.ts';

export const WEIGHTS_FILE = 'model.safetensors';
export const INDEX_FILE = 'model.safetensors.index.json';

/** The file that holds a tensor. */
export interface WeightPlace {
  /** Inside the folder. */
  readonly path: string;
  /** How errors name it. */
  readonly fileName: string;
}

export interface OpenedWeights {
  readonly file: TensorFile;
  /** `INDEX_FILE`, where it was read. */
  readonly index: string | undefined;
  readonly placeOf: (key: string) => WeightPlace;
  /** Why a file that may hold a missing tensor could not be opened. */
  readonly faultFor: (key: string) => Error | undefined;
}

/**
 * A whole file comes first, as in transformers: an index and shards beside it are left over from another save and are not
 * read. Throws `NotFoundError` when there is neither, and what opening throws.
 */
export async function openWeights(files: FileSet): Promise<OpenedWeights> {
  if (files.gguf) return await openGgufWeights(files, files.gguf);
  if (!files.has(WEIGHTS_FILE) && files.has(INDEX_FILE)) return await openShards(files);
  if (lacks(files, WEIGHTS_FILE)) {
    throw new NotFoundError({
      code: 'no_weights',
      message: `${files.name} has neither ${WEIGHTS_FILE} nor ${INDEX_FILE}`,
      hint: 'Weights in other formats (pytorch_model.bin) have to be converted to safetensors first.',
    });
  }
  const file = await openTensorFile(await files.open(WEIGHTS_FILE));
  const place = { path: WEIGHTS_FILE, fileName: file.name };
  return { file, index: undefined, placeOf: () => place, faultFor: () => undefined };
}

async function openGgufWeights(files: FileSet, paths: readonly string[]): Promise<OpenedWeights> {
  const { file, shardOf } = await openGgufFiles(files, paths);
  return { file, index: undefined, placeOf: (key) => shardOf(key)!, faultFor: () => undefined };
}

async function openShards(files: FileSet): Promise<OpenedWeights> {
  using index = await files.open(INDEX_FILE);
  const file = await openSharded(index, async (shard) => {
    if (!lacks(files, shard)) return await openTensorFile(await files.open(shard));
    throw new NotFoundError({
      code: 'missing_shard',
      message: `${files.name} lacks the shard ${shard}, which ${INDEX_FILE} names`,
      hint: 'Fetch the checkpoint again: a part of it is missing.',
    });
  });
  const { faultFor, shardOf } = file;
  return { file, index: INDEX_FILE, placeOf: (key) => shardOf(key)!, faultFor };
}
