/** Model, before any weight is read: the files of a checkpoint, its configuration, and headers that agree with it. */
import type { WeightInfo } from '../backend/weight-source.ts';
import { BadFileError, NotFoundError } from '../errors.ts';
import type { ByteSource } from '../formats/byte-source.ts';
import { readJson } from '../formats/json.ts';
import { openTensorFile } from '../formats/open-tensor-file.ts';
import { openSharded } from '../formats/sharded.ts';
import type { TensorFile } from '../formats/tensor-file.ts';
import { ConfigFile, transformerConfig, type TransformerConfig } from './config.ts';
import { weightInfo } from './weight-info.ts';
import { expectedWeights, type ExpectedWeight } from './weight-names.ts';

/** A folder of files, local or not, as the `hub` room hands it over. */
export interface FileSet {
  /** How errors name it. */
  readonly name: string;
  has(path: string): boolean;
  /** False: what is missing here may only not be known without the network; then `open` says so. */
  readonly isComplete?: boolean;
  open(path: string): Promise<ByteSource>;
}

/** A parameter and where it lies. */
export interface CheckpointWeight extends ExpectedWeight {
  readonly info: WeightInfo;
}

/** An opened checkpoint: every parameter that the configuration calls for is there, in the right shape and a known type. */
export interface Checkpoint extends Disposable {
  readonly config: TransformerConfig;
  readonly file: TensorFile;
  readonly weights: readonly CheckpointWeight[];
}

/** Files that belong to a checkpoint; shards are named by the index. */
export const CONFIG_FILE = 'config.json';
export const WEIGHTS_FILE = 'model.safetensors';
export const INDEX_FILE = 'model.safetensors.index.json';

/**
 * Opens a checkpoint from its headers. Throws `NotFoundError` for a missing file, `BadFileError` for a configuration or
 * a header that cannot be, naming the tensor, the shape expected and the shape found.
 */
export async function openCheckpoint(files: FileSet): Promise<Checkpoint> {
  const config = await readConfig(files);
  const file = await openWeights(files);
  try {
    const weights = expectedWeights(config).map((expected) => checkWeight(expected, file));
    return { config, file, weights, [Symbol.dispose]: () => file[Symbol.dispose]() };
  } catch (error) {
    file[Symbol.dispose]();
    throw error;
  }
}

/** The tensor that holds a parameter under its key in the file. */
export function weightAt({ weights }: Checkpoint, key: string): WeightInfo {
  return weights.find((weight) => weight.key === key)!.info;
}

/** Whether a file is certainly not there; where that is not certain, opening it tells what has to be done. */
export function lacks(files: FileSet, path: string): boolean {
  return !files.has(path) && (files.isComplete ?? true);
}

/** The configuration alone. */
export async function readConfig(files: FileSet): Promise<TransformerConfig> {
  if (lacks(files, CONFIG_FILE)) {
    throw new NotFoundError({
      code: 'no_config',
      message: `${files.name} has no ${CONFIG_FILE}`,
      hint: 'A model folder holds config.json, model.safetensors (or its shards and index) and tokenizer.json.',
    });
  }
  using source = await files.open(CONFIG_FILE);
  return transformerConfig(await readJson(source, ConfigFile), source.name);
}

async function openWeights(files: FileSet): Promise<TensorFile> {
  if (files.has(INDEX_FILE)) {
    using index = await files.open(INDEX_FILE);
    return await openSharded(index, async (shard) => {
      if (lacks(files, shard)) {
        throw new NotFoundError({
          code: 'missing_shard',
          message: `${files.name} lacks the shard ${shard}, which ${INDEX_FILE} names`,
          hint: 'Fetch the checkpoint again: a part of it is missing.',
        });
      }
      return await openTensorFile(await files.open(shard));
    });
  }
  if (!lacks(files, WEIGHTS_FILE)) return await openTensorFile(await files.open(WEIGHTS_FILE));
  throw new NotFoundError({
    code: 'no_weights',
    message: `${files.name} has neither ${WEIGHTS_FILE} nor ${INDEX_FILE}`,
    hint: 'Weights in other formats (pytorch_model.bin) have to be converted to safetensors first.',
  });
}

function checkWeight(expected: ExpectedWeight, file: TensorFile): CheckpointWeight {
  const found = file.tensors.get(expected.key);
  if (!found) {
    throw new BadFileError({
      code: 'missing_tensor',
      message: `${file.name} has no tensor ${expected.key} [${expected.shape.join(', ')}]`,
      hint: 'Does config.json belong to these weights?',
    });
  }
  // The type comes first: quantised weights have other shapes too, which is not what is wrong with them.
  const info = weightInfo(file.name, found);
  if (info.shape.join() !== expected.shape.join()) {
    throw new BadFileError({
      code: 'tensor_shape',
      message: `${file.name}: ${expected.key} is [${info.shape.join(', ')}], config.json makes it [${expected.shape.join(', ')}]`,
      hint: 'Does config.json belong to these weights?',
    });
  }
  return { ...expected, info };
}
