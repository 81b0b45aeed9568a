/** Training: where a run stands, so that it can go on after an interruption: parameters, moments, step. */
import { existsSync } from 'node:fs';
import { widen } from '../formats/dtype.ts';
import { openFileSource } from '../formats/byte-source.ts';
import { openSafetensors } from '../formats/safetensors.ts';
import { writeSafetensors } from '../formats/safetensors-writer.ts';
import { BadFileError } from '../errors.ts';
import type { AdamW } from './adamw.ts';
import type { Parameter } from './parameters.ts';

const STEP = 'step';
const MEAN = 'adamw.mean.';
const SQUARE = 'adamw.square.';

/** Writes the state after `step` steps; complete or not at all. */
export async function saveCheckpoint(
  path: string,
  step: number,
  parameters: readonly Parameter[],
  optimizer: AdamW,
): Promise<void> {
  const values = parameters.map(({ name, shape, values: data }) => ({ name, shape, data }));
  const moments = [...optimizer.moments].flatMap(([name, { mean, square }]) => [
    { name: MEAN + name, shape: [mean.length], data: mean },
    { name: SQUARE + name, shape: [square.length], data: square },
  ]);
  const state = { name: STEP, shape: [2], data: Float32Array.of(step, optimizer.steps) };
  const tensors = [...values, ...moments, state];
  await writeSafetensors(
    path,
    tensors.map((tensor) => ({ ...tensor, dtype: 'F32' })),
  );
}

/**
 * Fills parameters and optimiser from a checkpoint and returns how many steps were made; 0 when there is no file.
 * Throws `BadFileError` when it belongs to parameters of other shapes.
 */
export async function loadCheckpoint(
  path: string,
  parameters: readonly Parameter[],
  optimizer?: AdamW,
): Promise<number> {
  if (!existsSync(path)) return 0;
  using file = await openSafetensors(await openFileSource(path));
  const read = async (name: string): Promise<Float32Array> => widen(await file.read(name), 'F32');
  for (const { name, shape, values } of parameters) {
    const found = file.tensors.get(name)?.shape.join() ?? 'missing';
    if (found !== shape.join()) {
      throw new BadFileError({
        code: 'other_checkpoint',
        message: `${path}: ${name} is ${found}, this run has [${shape.join(', ')}]`,
        hint: 'Remove the checkpoint to begin again.',
      });
    }
    values.set(await read(name));
    if (!optimizer || !file.tensors.has(MEAN + name)) continue;
    optimizer.moments.set(name, { mean: await read(MEAN + name), square: await read(SQUARE + name) });
  }
  const [step, optimizerSteps] = await read(STEP);
  if (optimizer) optimizer.steps = optimizerSteps!;
  return step!;
}
