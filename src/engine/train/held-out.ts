/** Engine, verb `train`: a set that was trained, measured on the held-out documents beside it. */
import { join, resolve } from 'node:path';
import type { TrainRecord } from '../../trainer/record.ts';
import { evaluate } from '../evaluate/evaluate.ts';
import type { EvaluateResult } from '../evaluate/types.ts';
import type { CommonOptions } from '../request.ts';

export const HELD_OUT_FILE = 'held-out.jsonl';

/** Throws what `evaluate` throws. */
export async function evaluateOn(
  { model, revision, device, cacheDir, offline, ...rest }: CommonOptions,
  folder: string,
  { context, bos }: Pick<TrainRecord, 'context' | 'bos'>,
): Promise<EvaluateResult> {
  const { maxMemoryBytes, maxDeviceMemoryBytes, signal, onProgress } = rest;
  return await evaluate({
    ...{ model, revision, device, cacheDir, offline },
    ...{ maxMemoryBytes, maxDeviceMemoryBytes, signal, onProgress },
    bos,
    dtype: 'float32',
    transcoders: resolve(folder),
    allowMissingLayers: true,
    corpus: [join(folder, HELD_OUT_FILE)],
    context,
  });
}
