/** Trainer: the state of a run on disk: coders with their running means, where the corpus is read, and what was done. */
import { existsSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import * as v from 'valibot';
import type { Tensor } from '../backend/backend.ts';
import { BadFileError } from '../errors.ts';
import { widen } from '../formats/dtype.ts';
import { jsonObject, jsonRecord } from '../formats/json-object.ts';
import { parseJson } from '../formats/json.ts';
import { openSafetensors } from '../formats/safetensors.ts';
import { writeSafetensors, type TensorToWrite } from '../formats/safetensors-writer.ts';
import type { Coder } from './coder.ts';
import type { LayerNormalisation, Normalisation } from './normalisation.ts';

const FORMAT = 'tracer.train';

/** Values that have to be equal for a run to be resumed, with names for the error message. */
export type TrainIdentity = Readonly<Record<string, string>>;

const count = v.pipe(v.number(), v.integer(), v.minValue(0));

const RowState = jsonObject({
  from: jsonObject({
    file: count,
    place: jsonObject({ offset: count, line: count }),
    used: count,
    n_documents: count,
  }),
  random: count,
  given: count,
  epoch: count,
});

const StoreState = jsonObject({ epoch: count, given: count });

const Progress = jsonObject({
  /** Passes that are done; layers of the passes are in the identity. */
  passes: count,
  /** Of the pass that is not done: steps, and where batches come from. */
  step: count,
  feed: v.nullable(
    jsonObject({ source: v.union([RowState, StoreState]), random: count, n_tokens: count, given: count }),
  ),
  /** By layer. */
  numbers: jsonRecord(
    v.string(),
    jsonObject({ n_dead: count, cut: v.nullable(v.number()), penalty: v.number() }),
  ),
  scales: jsonRecord(v.string(), jsonObject({ x: v.number(), y: v.number() })),
  /** Tokens at which dead features began again last, and at which held-out rows were measured last. */
  revivedAt: count,
  evaluatedAt: count,
  /** Bytes of the log that belong to it. */
  logBytes: count,
  /** Whether the corpus ended before all tokens were read. */
  endedEarly: v.boolean(),
  /** Tokens of the last pass that is done. */
  n_tokens: count,
});

export type TrainProgress = v.InferOutput<typeof Progress>;

export const NO_PROGRESS: TrainProgress = {
  passes: 0,
  step: 0,
  feed: null,
  numbers: {},
  scales: {},
  revivedAt: 0,
  evaluatedAt: 0,
  logBytes: 0,
  endedEarly: false,
  n_tokens: 0,
};

export type Normalisations = ReadonlyMap<number, LayerNormalisation>;

/** Writes a checkpoint, complete or not at all. */
export async function saveCheckpoint(
  path: string,
  identity: TrainIdentity,
  progress: Omit<TrainProgress, 'numbers' | 'scales'>,
  coders: readonly Coder[],
  normalisations: Normalisations,
): Promise<void> {
  const tensors: TensorToWrite[] = [];
  for (const coder of coders) {
    for (const [name, tensor] of coder.tensors()) {
      tensors.push({
        name: `layer_${coder.layer}.${name}`,
        dtype: 'F32',
        shape: tensor.shape,
        // One after the other: only one has to be in memory a second time.
        data: async function* () {
          yield await tensor.data<'float32'>();
        },
      });
    }
    const { x, y } = normalisations.get(coder.layer)!;
    for (const [name, { mean }] of [
      ['x_mean', x],
      ['y_mean', y],
    ] as const) {
      tensors.push({ name: `layer_${coder.layer}.${name}`, dtype: 'F32', shape: [mean.length], data: mean });
    }
  }
  const ofCoders: Pick<TrainProgress, 'numbers' | 'scales'> = {
    numbers: Object.fromEntries(coders.map(({ layer, numbers }) => [layer, numbers])),
    scales: Object.fromEntries(
      coders.map(({ layer }) => {
        const { x, y } = normalisations.get(layer)!;
        return [layer, { x: x.scale, y: y.scale }];
      }),
    ),
  };
  await writeSafetensors(path, tensors, {
    format: FORMAT,
    identity: JSON.stringify(identity),
    progress: JSON.stringify({ ...progress, ...ofCoders }),
  });
}

/** What a checkpoint says. Throws `BadFileError` for one that is damaged or of another run; null without a file. */
export async function readProgress(path: string, identity: TrainIdentity): Promise<TrainProgress | null> {
  if (!existsSync(path)) return null;
  using file = await openSafetensors(path);
  checkIdentity(path, file.metadata, identity);
  return parseJson(path, file.metadata['progress'] ?? '', Progress);
}

/** Fills coders from a checkpoint, and gives their normalisations. */
export async function restoreCoders(
  path: string,
  { numbers, scales }: TrainProgress,
  coders: readonly Coder[],
): Promise<Normalisations> {
  using file = await openSafetensors(path);
  const read = async (name: string, shape: readonly number[]): Promise<Float32Array> => {
    const found = file.tensors.get(name);
    if (found?.dtype === 'F32' && found.shape.join() === shape.join())
      return widen(await file.read(name), 'F32');
    throw new BadFileError({
      code: 'bad_state',
      message: `${path}: ${name} is ${found ? `${found.dtype} [${found.shape.join(', ')}]` : 'missing'}, expected F32 [${shape.join(', ')}]`,
      hint: 'Remove the state folder to begin anew.',
    });
  };
  const normalisations = new Map<number, LayerNormalisation>();
  for (const coder of coders) {
    const at = `layer_${coder.layer}`;
    const tensors = new Map<string, Tensor>();
    for (const [name, { shape }] of coder.tensors())
      tensors.set(name, tf.tensor(await read(`${at}.${name}`, shape), shape));
    const own = [numbers[coder.layer], scales[coder.layer]] as const;
    if (!own[0] || !own[1]) throw new Error(`${path} says nothing of layer ${coder.layer}`);
    coder.restore(tensors, own[0]);
    const side = async (name: 'x' | 'y'): Promise<Normalisation> => ({
      mean: await read(`${at}.${name}_mean`, [coder.d_model]),
      scale: own[1]![name],
    });
    normalisations.set(coder.layer, { x: await side('x'), y: await side('y') });
  }
  return normalisations;
}

/** The identity of the run that a checkpoint is of; null without a file. Throws `BadFileError` for one that is damaged. */
export async function identityIn(path: string): Promise<TrainIdentity | null> {
  if (!existsSync(path)) return null;
  using file = await openSafetensors(path);
  return parseJson(path, file.metadata['identity'] ?? '', jsonRecord(v.string(), v.string()));
}

function checkIdentity(
  path: string,
  metadata: Readonly<Record<string, string>>,
  expected: TrainIdentity,
): void {
  if (metadata['format'] !== FORMAT) {
    throw new BadFileError({
      code: 'bad_state',
      message: `${path} is not the state of a training`,
      hint: 'Remove it to begin anew, or give --output another folder.',
    });
  }
  const found = parseJson(path, metadata['identity'] ?? '', jsonRecord(v.string(), v.string()));
  for (const [name, value] of Object.entries(expected)) {
    if (found[name] === value) continue;
    throw new BadFileError({
      code: 'other_training',
      message: `${path} is of another training: ${difference(name, found[name] ?? 'not known', value)}`,
      hint: 'Give the same options to resume it, or --output another folder.',
    });
  }
}

/** In words; of two objects (recipes) the fields that differ, since a whole one is not read by anybody. */
export function difference(name: string, found: string, expected: string): string {
  if (!found.startsWith('{') || !expected.startsWith('{')) return `${name} is ${found}, expected ${expected}`;
  const [was, wanted] = [found, expected].map((text) =>
    parseJson(name, text, jsonRecord(v.string(), v.unknown())),
  );
  const shown = (value: unknown): string => (value === undefined ? 'not given' : JSON.stringify(value));
  return Object.keys({ ...was, ...wanted })
    .filter((key) => shown(was![key]) !== shown(wanted![key]))
    .map((key) => `${key} is ${shown(was![key])}, expected ${shown(wanted![key])}`)
    .join('; ');
}
