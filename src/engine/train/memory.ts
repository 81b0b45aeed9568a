/** Engine, verb `train`: how the memory is divided, and the model loaded up to the highest layer that is wanted. */
import type { Backend } from '../../backend/backend.ts';
import { availableMemoryBytes, MemoryBudget } from '../../backend/budget.ts';
import { loadTransformer } from '../../model/load.ts';
import type { Transformer } from '../../model/transformer.ts';
import type { Recipe } from '../../trainer/recipe.ts';
import type { OpenedSubject } from '../opened-subject.ts';
import type { TrainRequest } from './types.ts';

/** Of what a training may take, what a process takes by itself and in passes. */
const PROCESS_BYTES = 700 * 2 ** 20;
/** Of free memory, by default. */
const MEMORY_SHARE = 1 / 2;
/** Of what is left, the model gets so much at most: what does not fit is read again in each pass. */
const MODEL_SHARE = 1 / 2;

export function memoryOf(
  { maxMemoryBytes }: TrainRequest,
  { checkpoint }: OpenedSubject,
  { layers }: Recipe,
): { model: number; training: number } {
  const all = (maxMemoryBytes ?? availableMemoryBytes() * MEMORY_SHARE) - PROCESS_BYTES;
  const top = layers.at(-1)!;
  const needed = checkpoint.weights.reduce(
    (sum, { layer, byteLength }) => ((layer ?? 0) <= top ? sum + byteLength : sum),
    0,
  );
  const model = Math.max(0, Math.min(needed, all * MODEL_SHARE));
  return { model, training: all - model };
}

export async function loadModel(
  backend: Backend,
  { checkpoint }: OpenedSubject,
  { layers }: Recipe,
  bytes: number,
  request: TrainRequest,
): Promise<Transformer> {
  return await loadTransformer(backend, checkpoint, {
    budget: new MemoryBudget(bytes),
    layers: layers.at(-1)! + 1,
    ...(request.signal && { signal: request.signal }),
    onProgress: (done, total) =>
      request.onProgress?.({
        kind: 'progress',
        phase: 'weights',
        message: 'Reading the model',
        done,
        total,
        unit: 'bytes',
      }),
  });
}
