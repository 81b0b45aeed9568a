/** Model, before any weight is read: the files of a checkpoint, its configuration, and headers that agree with it. */
import * as v from 'valibot';
import type { WeightInfo } from '../backend/weight-source.ts';
import { BadFileError, NotFoundError } from '../errors.ts';
import { bytesOfNumbers } from '../formats/dtype.ts';
import { looseJsonObject } from '../formats/json-object.ts';
import { readJson } from '../formats/json.ts';
import type { TensorFile, TensorInfo } from '../formats/tensor-file.ts';
import type { TransformerConfig } from './config.ts';
import { numberOf, parametersOf, storedShape, type Parameter } from './parameters.ts';
import { mxfp4Info, mxfp4Keys } from './mxfp4.ts';
import type { Naming, Place } from './naming.ts';
import { transformerConfig } from './families.ts';
import { lacks, type FileSet } from './file-set.ts';
import { inGguf } from './gguf-config.ts';
import { namingInFile } from './key-prefix.ts';
import { missingWeight } from './quantised.ts';
import { weightInfo } from './weight-info.ts';
import { openWeights, type OpenedWeights, type WeightPlace } from './weights-file.ts';

export const CONFIG_FILE = 'config.json';

/** A parameter and where it lies. */
export interface CheckpointWeight extends Parameter, WeightPlace {
  /** Key in the checkpoint. */
  readonly key: string;
  /** The tensor, which may hold other parameters too. */
  readonly info: WeightInfo;
  /** Of this parameter, as it is stored. */
  readonly byteLength: number;
}

/** An opened checkpoint: every parameter that the configuration calls for is there, in the right shape and a known type. */
export interface Checkpoint extends Disposable {
  readonly config: TransformerConfig;
  readonly file: TensorFile;
  readonly weights: readonly CheckpointWeight[];
  /** The same by parameter: a model of experts has thousands. */
  readonly byParameter: ReadonlyMap<string, CheckpointWeight>;
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
    const isComplete = (naming: Naming): boolean =>
      parametersOf(config, naming).every(({ place }) => keysAt(place).every((key) => file.tensors.has(key)));
    const { naming: own } = config.family;
    const naming = files.gguf ? own : namingInFile(own, file, isComplete);
    const weights = parametersOf(config, naming).map((parameter) =>
      checkWeight(parameter, opened, files.gguf ? 'the metadata' : CONFIG_FILE),
    );
    const byParameter = new Map(weights.map((weight) => [weight.parameter, weight]));
    return { config, file, weights, byParameter, index, [Symbol.dispose]: () => file[Symbol.dispose]() };
  } catch (error) {
    file[Symbol.dispose]();
    throw error;
  }
}

/** The keys of the tensors that a place consists of. */
function keysAt({ key, packing }: Place): readonly string[] {
  return packing === 'mxfp4' ? mxfp4Keys(key) : [key];
}

/** A parameter by name, such as `ln_final.w`. */
export function weightOf({ byParameter }: Checkpoint, parameter: string): CheckpointWeight {
  const found = byParameter.get(parameter);
  if (!found) throw new Error(`the model has no parameter ${parameter}`);
  return found;
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
  if (!files.gguf) return transformerConfig(await readJson(source, v.unknown()), source.name);
  const document = await readJson(source, looseJsonObject({}));
  return inGguf(transformerConfig(document, source.name), document, source.name);
}

function checkWeight(
  parameter: Parameter,
  { file, placeOf, faultFor }: OpenedWeights,
  /** What says which shapes are expected. */
  source: string,
): CheckpointWeight {
  const { key, packing, stack } = parameter.place;
  const shape = storedShape(parameter.shape, parameter.place);
  const find = (name: string): TensorInfo => {
    const found = file.tensors.get(name);
    if (!found) throw faultFor(name) ?? missingWeight(file, name, shape);
    return found;
  };
  if (packing === 'mxfp4') {
    const place = placeOf(mxfp4Keys(key)[0]);
    const info = mxfp4Info(place.fileName, key, shape, find);
    return { ...parameter, ...place, key, info, byteLength: info.byteLength / (stack?.size ?? 1) };
  }
  const found = find(key);
  const place = placeOf(key);
  // The type is checked first: quantised weights have other shapes too, and a message about shapes would mislead.
  const info = weightInfo(place.fileName, found, 'checkpoint');
  if (info.shape.join() !== shape.join()) {
    throw new BadFileError({
      code: 'tensor_shape',
      message: `${place.fileName}: ${key} is [${info.shape.join(', ')}], expected [${shape.join(', ')}] by ${source}`,
      hint: `Do ${source} and the weights belong together?`,
    });
  }
  const byteLength = bytesOfNumbers(info.dtype, numberOf(parameter.shape));
  return { ...parameter, ...place, key, info, byteLength };
}
