/** Model: from an opened checkpoint to a transformer whose parameters are in memory, as they are stored. */
import * as tf from '@tensorflow/tfjs-core';
import type { Backend, Tensor1D, Weight } from '../backend/backend.ts';
import { MemoryBudget } from '../backend/budget.ts';
import { holdWeight } from '../backend/hold.ts';
import { firstNonFinite, widen } from '../formats/dtype.ts';
import { matricesOf, type BlockMatrix, type NormKind } from './block-spec.ts';
import { weightOf, type Checkpoint } from './checkpoint.ts';
import type { TransformerConfig } from './config.ts';
import type { BlockMatrices, BlockWeights, Expert } from './held-block.ts';
import { normOf, type Norm } from './norm.ts';
import { notFinite } from './not-finite.ts';
import { biasPath, expertPath, matrixPath } from './parameters.ts';
import { placedSource, placedVector } from './part-source.ts';
import { Transformer } from './transformer.ts';

const UNEMBEDDING = 'unembed.W_U';

export interface LoadOptions {
  /** Bytes of parameters that may stay in memory. */
  readonly budget?: MemoryBudget;
  /**
   * Reads the lowest layers only, default all: passes end after them. The unembedding, where it is a matrix of its own, is not read
   * before it is used.
   */
  readonly layers?: number;
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
  const { config, file } = checkpoint;
  const budget = options.budget ?? new MemoryBudget();
  const n_layers = options.layers ?? config.n_layers;
  const isPart = n_layers < config.n_layers;
  const totalBytes = checkpoint.weights.reduce(
    (sum, { byteLength, layer, parameter }) =>
      (layer ?? 0) < n_layers && !(isPart && parameter === UNEMBEDDING) ? sum + byteLength : sum,
    0,
  );
  const owned: Disposable[] = [];
  let doneBytes = 0;
  const progress = (bytes: number): void => options.onProgress?.((doneBytes += bytes), totalBytes);

  const matrix = async (parameter: string): Promise<Weight> => {
    options.signal?.throwIfAborted();
    const { info, place, byteLength } = weightOf(checkpoint, parameter);
    const source = placedSource(file, info, place);
    const weight = await holdWeight(backend, budget, source, true);
    owned.push(weight);
    progress(byteLength);
    return weight;
  };
  const later = (parameter: string): Weight => {
    const { info, place } = weightOf(checkpoint, parameter);
    const weight = backend.lazyWeight(placedSource(file, info, place));
    owned.push(weight);
    return weight;
  };
  const numbers = async (parameter: string): Promise<Float32Array> => {
    const { key, info, place, byteLength } = weightOf(checkpoint, parameter);
    const { stack } = place;
    const rows = stack && { start: stack.index, stop: stack.index + 1 };
    const values = widen(await file.read(key, rows), info.dtype);
    if (firstNonFinite(values) >= 0) throw notFinite(file.name, key);
    progress(byteLength);
    return placedVector(values, place);
  };
  const kept = (values: Float32Array): Tensor1D => {
    const tensor = tf.tensor1d(values);
    owned.push({ [Symbol.dispose]: () => tensor.dispose() });
    return tensor;
  };
  const norm = async (at: string, kind: NormKind = config.block.norm): Promise<Norm> => {
    const offset = kind.kind === 'rms' ? kind.gainOffset : 0;
    const w = kept((await numbers(`${at}.w`)).map((value) => value + offset));
    const b = kind.kind === 'layer' ? kept(await numbers(`${at}.b`)) : undefined;
    return normOf(kind, { w, b }, config.eps);
  };
  const block = async (layer: number): Promise<BlockWeights> => {
    const at = `blocks.${layer}`;
    const spec = config.block;
    // All at once: reads from the page cache run in parallel.
    const matrices = await allSettled(
      matricesOf(spec).map(async (name) => [name, await matrix(`${at}.${matrixPath(name)}`)] as const),
    );
    const norms = await allSettled(
      spec.norms.map(async (name) => [name, await norm(`${at}.${name}`)] as const),
    );
    const biases = await allSettled(
      spec.biased.map(async (name) => [name, await numbers(`${at}.${biasPath(name)}`)] as const),
    );
    const ofMatrices = Object.fromEntries(matrices) as unknown as BlockMatrices;
    const qkKind: NormKind = spec.norm.kind === 'rms' ? spec.norm : { kind: 'rms', gainOffset: 0 };
    const experts: Expert[] = [];
    for (let expert = 0; expert < (spec.experts?.n_experts ?? 0); expert++) {
      const of = (name: Parameters<typeof expertPath>[1]): string => `${at}.${expertPath(expert, name)}`;
      experts.push({
        W_gate_up: await matrix(of('W_gate_up')),
        W_out: await matrix(of('W_out')),
        b_gate_up: kept(await numbers(of('b_gate_up'))),
        b_out: kept(await numbers(of('b_out'))),
      });
    }
    return {
      matrices: ofMatrices,
      norms: Object.fromEntries(norms),
      qkNorms:
        spec.qkNorm === 'none'
          ? null
          : { q: await norm(`${at}.attn.q_norm`, qkKind), k: await norm(`${at}.attn.k_norm`, qkKind) },
      sinks: spec.sinks ? kept(await numbers(`${at}.attn.sinks`)) : null,
      ...(await usedBiases(ofMatrices.W_O, Object.fromEntries(biases), config, kept)),
      experts: spec.experts ? experts : null,
    };
  };

  try {
    const W_E = await matrix('embed.W_E');
    const W_pos = config.positions === 'learned' ? await matrix('pos_embed.W_pos') : null;
    const W_U = config.tie_word_embeddings ? W_E : isPart ? later(UNEMBEDDING) : await matrix(UNEMBEDDING);
    const blocks: BlockWeights[] = [];
    for (let layer = 0; layer < n_layers; layer++) blocks.push(await block(layer));
    const ln_final = await norm('ln_final');
    const dispose = (): void => owned.forEach((one) => one[Symbol.dispose]());
    const used = isPart ? { ...config, n_layers } : config;
    return new Transformer(used, { W_E, W_pos, W_U, ln_final, blocks, [Symbol.dispose]: dispose });
  } catch (error) {
    for (const one of owned) one[Symbol.dispose]();
    throw error;
  }
}

/**
 * Biases as they are used: that of W_V becomes part of that of W_O, as in TransformerLens. A pattern sums to one, so that what
 * the bias adds to every value passes through attention unchanged; with sinks it does not, and the bias stays where it is.
 */
async function usedBiases(
  W_O: Weight,
  all: Readonly<Partial<Record<BlockMatrix, Float32Array>>>,
  { n_heads, n_kv_heads, d_head, block }: TransformerConfig,
  kept: (values: Float32Array) => Tensor1D,
): Promise<Pick<BlockWeights, 'biases' | 'foldedValueBias'>> {
  const used: Partial<Record<BlockMatrix, Tensor1D>> = {};
  const b_V = block.sinks ? undefined : all.W_V;
  for (const [name, values] of Object.entries(all)) {
    const isFolded = b_V && (name === 'W_V' || name === 'W_O');
    if (!isFolded) used[name as BlockMatrix] = kept(values);
  }
  if (!b_V) return { biases: used, foldedValueBias: null };
  const group = n_heads / n_kv_heads;
  const ofHeads = Float32Array.from({ length: n_heads * d_head }, (_, i) => {
    const head = Math.floor(i / d_head);
    return b_V[Math.floor(head / group) * d_head + (i % d_head)]!;
  });
  using held = await W_O.acquire();
  const added = tf.tidy(() => held.matMul(tf.tensor2d(ofHeads, [1, ofHeads.length]), { transpose: true }));
  const output = await added.data<'float32'>();
  added.dispose();
  const own = all.W_O;
  used.W_O = kept(own ? output.map((value, i) => value + own[i]!) : output);
  return { biases: used, foldedValueBias: kept(b_V) };
}

/** Waits for all before it throws, so that no work continues in the background and everything made can be disposed. */
async function allSettled<T>(work: readonly Promise<T>[]): Promise<T[]> {
  const results = await Promise.allSettled(work);
  return results.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
}
