/** Training: the state of a run, to resume it after an interruption: parameters, moments, steps, random numbers. */
import { existsSync } from 'node:fs';
import { widen } from '../formats/dtype.ts';
import { openFileSource } from '../formats/byte-source.ts';
import { openSafetensors } from '../formats/safetensors.ts';
import { writeSafetensors, type TensorToWrite } from '../formats/safetensors-writer.ts';
import type { TensorFile } from '../formats/tensor-file.ts';
import { BadFileError } from '../errors.ts';
import type { AdamW } from './adamw.ts';
import type { Parameter } from './parameters.ts';
import type { Random } from '../random.ts';

const STEPS = 'steps';
const RANDOM = 'random';
const MEAN = 'adamw.mean.';
const SQUARE = 'adamw.square.';

/** All that a step changes. Steps change it in place, and a checkpoint is loaded into it in place. */
export interface TrainingState {
  readonly parameters: readonly Parameter[];
  readonly optimizer: AdamW;
  /** What steps draw from; undefined when they draw nothing. */
  readonly random: Random | undefined;
}

/** What `loadCheckpoint` returns beside the arrays that it fills. */
export interface Resumed {
  /** Steps that were made. */
  readonly done: number;
  /** State of the random source after them. */
  readonly randomState: number | null;
}

/** Writes the state after `done` of `steps` steps; complete or not at all. */
export async function saveCheckpoint(
  path: string,
  done: number,
  steps: number,
  { parameters, optimizer, random }: TrainingState,
): Promise<void> {
  const arrays = [
    ...parameters.map(({ name, shape, values: data }) => ({ name, shape, data })),
    ...[...optimizer.moments].flatMap(([name, { mean, square }]) => [
      { name: MEAN + name, shape: [mean.length], data: mean },
      { name: SQUARE + name, shape: [square.length], data: square },
    ]),
  ].map((array): TensorToWrite => ({ ...array, dtype: 'F32' }));
  const counts: TensorToWrite[] = [
    { name: STEPS, dtype: 'U32', shape: [3], data: Uint32Array.of(done, steps, optimizer.steps) },
    ...(random
      ? [{ name: RANDOM, dtype: 'U32' as const, shape: [1], data: Uint32Array.of(random.state) }]
      : []),
  ];
  await writeSafetensors(path, [...arrays, ...counts]);
}

/**
 * Fills parameters and optimiser from a checkpoint; null when there is no file. The random source is not changed: the caller
 * sets it after the draws that come before the first step that is left.
 * Throws `BadFileError` when it belongs to parameters of other shapes, to a run of other length, or lacks a part.
 */
export async function loadCheckpoint(
  path: string,
  steps: number,
  { parameters, optimizer, random }: TrainingState,
): Promise<Resumed | null> {
  if (!existsSync(path)) return null;
  using file = await openSafetensors(await openFileSource(path));
  const read = async (name: string): Promise<Float32Array> => widen(await file.read(name), 'F32');
  const [done, allSteps, optimizerSteps] = await readCounts(file, STEPS, 3);
  if (allSteps !== steps)
    throw otherCheckpoint(`${path} is of a training of ${allSteps} steps, this run has ${steps}`);
  const randomState = random ? (await readCounts(file, RANDOM, 1))[0]! : null;
  for (const { name, shape, values } of parameters) {
    checkShape(file, name, shape);
    values.set(await read(name));
    if (!file.tensors.has(MEAN + name)) continue;
    optimizer.moments.set(name, { mean: await read(MEAN + name), square: await read(SQUARE + name) });
  }
  optimizer.steps = optimizerSteps!;
  return { done: done!, randomState };
}

async function readCounts(file: TensorFile, name: string, n: number): Promise<Uint32Array> {
  checkShape(file, name, [n]);
  const bytes = await file.read(name);
  return new Uint32Array(bytes.buffer, bytes.byteOffset, n);
}

function checkShape(file: TensorFile, name: string, shape: readonly number[]): void {
  const found = file.tensors.get(name)?.shape;
  if (found?.join() === shape.join()) return;
  throw otherCheckpoint(
    `${file.name}: ${name} is ${found ? `[${found.join(', ')}]` : 'missing'}, this run has [${shape.join(', ')}]`,
  );
}

function otherCheckpoint(message: string): BadFileError {
  return new BadFileError({
    code: 'other_checkpoint',
    message,
    hint: 'Remove the checkpoint to begin again.',
  });
}
