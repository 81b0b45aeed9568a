/** Trainer: which layers are trained together so that the memory suffices, and how long blocks of activations are. */
import { ExhaustedError } from '../errors.ts';
import type { Recipe } from './recipe.ts';

export interface TrainPlan {
  /** Layers of each pass over the corpus, ascending. */
  readonly passes: readonly (readonly number[])[];
  /** Tokens whose activations are in memory at a time. */
  readonly blockTokens: number;
  /** What the largest pass takes, beside the model. */
  readonly bytes: number;
}

export interface PlanInput {
  readonly recipe: Recipe;
  readonly n_layers: number;
  readonly d_model: number;
  /** For coders and activations: without the model and what passes need. */
  readonly maxBytes: number;
  /** Tokens of a block that are wanted; fewer where not even one layer, or a cross-layer set, would fit. */
  readonly blockTokens: number;
}

const FLOAT_BYTES = 4;
/** Parameter and running means. */
const KEPT_COPIES = { adam: 3, signum: 2 } as const;
/** Gradients and what the optimiser makes of them, of the layer that steps. */
const STEP_COPIES = 5;
/** Arrays of [tokens of a step, features]: pre-activations, and of thresholds what is made of them. */
const DENSE_ARRAYS = { topk: 3, batchtopk: 4, jumprelu: 8, relu: 7 } as const;

/** Layers that a layer's features write into. */
export function writtenLayers({ kind }: Pick<Recipe, 'kind'>, layer: number, n_layers: number): number {
  return kind === 'cross-layer' ? n_layers - layer : 1;
}

/** Throws `ExhaustedError` where not even one layer, or the layers of a cross-layer set, fit. */
export function planOf({ recipe, n_layers, d_model, maxBytes, blockTokens }: PlanInput): TrainPlan {
  const { layers, d_transcoder, optimizer, batchTokens, activation, kind, hasSkip } = recipe;
  const parameters = (layer: number): number =>
    FLOAT_BYTES *
    (d_transcoder * d_model * (1 + writtenLayers(recipe, layer, n_layers)) +
      (hasSkip ? d_model * d_model : 0));
  const kept = (layer: number): number => KEPT_COPIES[optimizer] * parameters(layer);
  const ofBlock = (tokens: number): number => 2 * FLOAT_BYTES * tokens * d_model;
  const stepping = (all: readonly number[]): number => {
    const atOnce = kind === 'cross-layer' ? all : [all[0]!];
    const dense = FLOAT_BYTES * batchTokens * d_transcoder * DENSE_ARRAYS[activation];
    return atOnce.reduce((sum, layer) => sum + STEP_COPIES * parameters(layer) + dense, 0);
  };
  const bytesOf = (all: readonly number[], tokens: number): number =>
    all.reduce((sum, layer) => sum + kept(layer) + ofBlock(tokens), stepping(all));
  const least = kind === 'cross-layer' ? layers.length : 1;
  const shortest = Math.min(blockTokens, batchTokens);
  let tokens = blockTokens;
  // Tokens are shuffled in a block: its length decides the bytes of a set, so it does not depend on how many layers there are.
  while (tokens > shortest && bytesOf(layers.slice(0, least), tokens) > maxBytes)
    tokens = Math.max(shortest, Math.floor(tokens / 2));
  let n = layers.length;
  while (n > least && bytesOf(layers.slice(0, n), tokens) > maxBytes) n -= 1;
  const bytes = bytesOf(layers.slice(0, n), tokens);
  if (bytes > maxBytes) throw tooSmall(bytes, maxBytes, kind);
  return { passes: dividedEvenly(layers, n), blockTokens: tokens, bytes };
}

/** In as few parts as have `most` items at most, which differ by one at most. */
function dividedEvenly(items: readonly number[], most: number): number[][] {
  const n_parts = Math.ceil(items.length / most);
  const startOf = (part: number): number => Math.floor((part * items.length) / n_parts);
  return Array.from({ length: n_parts }, (_, part) => items.slice(startOf(part), startOf(part + 1)));
}

const MIB = 2 ** 20;

function tooSmall(needed: number, allowed: number, kind: Recipe['kind']): ExhaustedError {
  const what = kind === 'cross-layer' ? 'all layers of a cross-layer set' : 'one layer';
  return new ExhaustedError({
    code: 'memory',
    message: `${what} would take ${Math.ceil(needed / MIB)} MiB to train beside the model, ${Math.max(0, Math.floor(allowed / MIB))} MiB are allowed`,
    hint: 'Give fewer --features, a smaller --batch-tokens, or more --max-memory.',
  });
}
