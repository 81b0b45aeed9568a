/** Model, before any weight is read: the files of a checkpoint, its configuration, and headers that agree with it. */
import * as v from 'valibot';
import type { WeightInfo } from '../backend/weight-source.ts';
import { BadFileError, NotFoundError } from '../errors.ts';
import { readJson } from '../formats/json.ts';
import type { TensorFile } from '../formats/tensor-file.ts';
import type { TransformerConfig } from './config.ts';
import { expectedWeights, type ExpectedWeight } from './expected-weights.ts';
import { transformerConfig } from './families.ts';
import { lacks, type FileSet } from './file-set.ts';
import { namesInFile } from './key-prefix.ts';
import { missingWeight } from './quantised.ts';
import { weightInfo } from './weight-info.ts';
import type { WeightNames } from './weight-names.ts';
import { openWeights, type OpenedWeights, type WeightPlace } from './weights-file.ts';

export const CONFIG_FILE = 'config.json';

/** A parameter and where it lies. */
export interface CheckpointWeight extends ExpectedWeight, WeightPlace {
  readonly info: WeightInfo;
}

/** An opened checkpoint: every parameter that the configuration calls for is there, in the right shape and a known type. */
export interface Checkpoint extends Disposable {
  readonly config: TransformerConfig;
  /** Keys as this checkpoint spells them. */
  readonly names: WeightNames;
  readonly file: TensorFile;
  readonly weights: readonly CheckpointWeight[];
  /** The index, if that is where the shards were found. */
  readonly index: string | undefined;
}

/**
 * Opens a checkpoint from its headers. Throws `NotFoundError` for a missing file, `BadFileError` for a configuration or
 * a header that is not valid, naming the tensor, the shape expected and the shape found. Tensors that hold no parameter are
 * not checked.
 */
export async function openCheckpoint(files: FileSet): Promise<Checkpoint> {
  const config = await readConfig(files);
  const opened = await openWeights(files);
  const { file, index } = opened;
  try {
    const isComplete = (names: WeightNames): boolean =>
      expectedWeights(config, names).every(({ key }) => file.tensors.has(key));
    const names = namesInFile(config.family.weights, file, isComplete);
    const weights = expectedWeights(config, names).map((expected) => checkWeight(expected, opened));
    return { config, names, file, weights, index, [Symbol.dispose]: () => file[Symbol.dispose]() };
  } catch (error) {
    file[Symbol.dispose]();
    throw error;
  }
}

/** The tensor that holds a parameter under its key in the file. */
export function weightAt({ weights }: Checkpoint, key: string): WeightInfo {
  return weights.find((weight) => weight.key === key)!.info;
}

/** The files that hold parameters, each once. */
export function weightFiles({ weights }: Checkpoint): string[] {
  return [...new Set(weights.map(({ path }) => path))].sort();
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
  return transformerConfig(await readJson(source, v.unknown()), source.name);
}

function checkWeight(expected: ExpectedWeight, { file, placeOf, faultFor }: OpenedWeights): CheckpointWeight {
  const { key, shape } = expected;
  const found = file.tensors.get(key);
  if (!found) throw faultFor(key) ?? missingWeight(file, key, shape);
  const place = placeOf(key);
  // The type is checked first: quantised weights have other shapes too, and a message about shapes would mislead.
  const info = weightInfo(place.fileName, found, 'checkpoint');
  if (info.shape.join() !== shape.join()) {
    throw new BadFileError({
      code: 'tensor_shape',
      message: `${place.fileName}: ${key} is [${info.shape.join(', ')}], expected [${shape.join(', ')}] by config.json`,
      hint: 'Does config.json belong to these weights?',
    });
  }
  return { ...expected, ...place, info };
}
