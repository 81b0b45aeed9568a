/** Engine, verb `train`: how the memory is divided, and the model loaded up to the highest layer that is wanted. */
import type { Backend } from '../../backend/backend.ts';
import { availableMemoryBytes, budgetFor, MemoryBudget } from '../../backend/budget.ts';
import { loadTransformer } from '../../model/load.ts';
import type { Transformer } from '../../model/transformer.ts';
import type { Recipe } from '../../trainer/recipe.ts';
import type { OpenedSubject } from '../opened-subject.ts';
import { weightsProgress } from '../request.ts';
import type { TrainRequest } from './types.ts';

/** Of what a training may take, what a process takes by itself and in passes. */
const PROCESS_BYTES = 700 * 2 ** 20;
/** Of free memory, by default. */
const MEMORY_SHARE = 1 / 2;
/** Of what is left, the model gets so much at most: what does not fit is read again in each pass. */
const MODEL_SHARE = 1 / 2;

/** Bytes of the model up to the highest layer that is wanted. */
export function bytesUpTo({ checkpoint }: OpenedSubject, { layers }: Recipe): number {
  const top = layers.at(-1)!;
  return checkpoint.weights.reduce(
    (sum, { layer, byteLength }) => ((layer ?? 0) <= top ? sum + byteLength : sum),
    0,
  );
}

/** Of the memory where tensors lie: the machine's, or that of a device which has its own. */
export async function memoryOf(
  backend: Backend,
  request: TrainRequest,
  modelBytes: number,
): Promise<{ model: number; training: number }> {
  const all = backend.hasOwnMemory
    ? (await budgetFor(backend, request, modelBytes)).totalBytes
    : (request.maxMemoryBytes ?? availableMemoryBytes() * MEMORY_SHARE) - PROCESS_BYTES;
  const model = Math.max(0, Math.min(modelBytes, all * MODEL_SHARE));
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
    onProgress: weightsProgress(request),
  });
}
