/** Model: from an opened checkpoint to a transformer whose parameters are in memory, as they are stored. */
import * as tf from '@tensorflow/tfjs-core';
import type { Backend, Tensor1D, Weight } from '../backend/backend.ts';
import { MemoryBudget } from '../backend/budget.ts';
import { weightSource } from '../backend/weight-source.ts';
import { firstNonFinite, widen } from '../formats/dtype.ts';
import { weightAt, type Checkpoint } from './checkpoint.ts';
import { notFinite } from './not-finite.ts';
import { Transformer, type BlockWeights } from './transformer.ts';
import { BLOCK_GAINS, BLOCK_MATRICES, type BlockGain, type BlockMatrix } from './weight-names.ts';

export interface LoadOptions {
  /** Bytes of parameters that may stay in memory. */
  readonly budget?: MemoryBudget;
  readonly signal?: AbortSignal;
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
}

/**
 * Reads the parameters. Nothing is folded, centred or rounded: matrices stay in the type they are stored in. Those that
 * the budget has no room for are read from their file whenever they are used, so `checkpoint` has to stay open as long
 * as the transformer. Throws the reason of `signal`; the checkpoint stays the caller's.
 */
export async function loadTransformer(
  backend: Backend,
  checkpoint: Checkpoint,
  options: LoadOptions = {},
): Promise<Transformer> {
  const { config, names, file } = checkpoint;
  const budget = options.budget ?? new MemoryBudget();
  const totalBytes = checkpoint.weights.reduce((sum, weight) => sum + weight.info.byteLength, 0);
  const owned: Disposable[] = [];
  let doneBytes = 0;
  const progress = (bytes: number): void => options.onProgress?.((doneBytes += bytes), totalBytes);

  const matrix = async (key: string): Promise<Weight> => {
    options.signal?.throwIfAborted();
    const info = weightAt(checkpoint, key);
    const source = weightSource(file, info);
    const weight = budget.take(info.byteLength)
      ? await backend.loadWeight(source)
      : backend.streamWeight(source);
    owned.push(weight);
    progress(info.byteLength);
    return weight;
  };
  const gain = async (key: string): Promise<Tensor1D> => {
    const stored = await file.read(key);
    const values = widen(stored, weightAt(checkpoint, key).dtype);
    if (firstNonFinite(values) >= 0) throw notFinite(file.name, key);
    const offset = config.family.normGainOffset;
    const tensor = tf.tensor1d(values.map((w) => w + offset));
    owned.push({ [Symbol.dispose]: () => tensor.dispose() });
    progress(stored.byteLength);
    return tensor;
  };
  const block = async (layer: number): Promise<BlockWeights> => {
    const keys = names.block(layer);
    // All at once: reads from the page cache run in parallel.
    const matrices = await allSettled(
      BLOCK_MATRICES.map(async (name) => [name, await matrix(keys[name])] as const),
    );
    const gains = await allSettled(BLOCK_GAINS.map(async (name) => [name, await gain(keys[name])] as const));
    return {
      ...(Object.fromEntries(matrices) as Record<BlockMatrix, Weight>),
      ...(Object.fromEntries(gains) as Record<BlockGain, Tensor1D>),
    };
  };

  try {
    const W_E = await matrix(names.W_E);
    const W_U = config.tie_word_embeddings ? W_E : await matrix(names.W_U);
    const blocks: BlockWeights[] = [];
    for (let layer = 0; layer < config.n_layers; layer++) blocks.push(await block(layer));
    const ln_final = await gain(names.ln_final);
    const dispose = (): void => owned.forEach((one) => one[Symbol.dispose]());
    return new Transformer(config, { W_E, W_U, ln_final, blocks, [Symbol.dispose]: dispose });
  } catch (error) {
    for (const one of owned) one[Symbol.dispose]();
    throw error;
  }
}

/** Waits for all before it throws, so that no work continues in the background and everything made can be disposed. */
async function allSettled<T>(work: readonly Promise<T>[]): Promise<T[]> {
  const results = await Promise.allSettled(work);
  return results.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
}
