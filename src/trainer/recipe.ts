/** Trainer: what a set is trained to be, and how. Everything that its bytes depend on beside the model and the corpus. */
import type { BlockSite, OutputSite } from '../model/hooks.ts';

export const TRAIN_KINDS = ['per-layer', 'cross-layer'] as const;
export type TrainKind = (typeof TRAIN_KINDS)[number];

export const TRAIN_ACTIVATIONS = ['topk', 'batchtopk', 'jumprelu', 'relu'] as const;
export type TrainActivation = (typeof TRAIN_ACTIVATIONS)[number];

export const TRAIN_OPTIMIZERS = ['adam', 'signum'] as const;
export type TrainOptimizer = (typeof TRAIN_OPTIMIZERS)[number];

export const RESULT_TYPES = ['float32', 'bfloat16'] as const;
export type ResultType = (typeof RESULT_TYPES)[number];

export interface Recipe {
  readonly kind: TrainKind;
  readonly activation: TrainActivation;
  /** Features that TopK keeps a token, and BatchTopK on average. */
  readonly k: number;
  /** Features that JumpReLU and ReLU are steered to have active a token. */
  readonly l0: number;
  readonly hasSkip: boolean;
  /** Features of a layer. */
  readonly d_transcoder: number;
  /** Ascending. */
  readonly layers: readonly number[];
  readonly feature_input_hook: BlockSite;
  readonly feature_output_hook: OutputSite;
  /** Tokens that features are trained on. */
  readonly tokens: number;
  /** Tokens of a step, about. */
  readonly batchTokens: number;
  readonly optimizer: TrainOptimizer;
  readonly learningRate: number;
  /** Shares of the work in which the rate rises from 0, and falls to 0. */
  readonly warmup: number;
  readonly decay: number;
  readonly seed: number;
  /** Of the matrices that are written; biases and thresholds are float32. */
  readonly dtype: ResultType;
  /** Rows of decoders are kept at length 1: an L1 penalty would otherwise be met by small activations and long rows. */
  readonly hasUnitDecoder: boolean;
  /** Factor of the loss of features that are not active, on what the others leave unexplained (Gao et al. 2024). */
  readonly auxiliaryWeight: number;
  /** A feature that was not active for so many tokens counts as dead. */
  readonly deadAfterTokens: number;
}

/** Features that the learning rates below are stated for. */
const RATED_FEATURES = 2 ** 14;
const RATES: Readonly<Record<TrainOptimizer, number>> = { adam: 2.5e-3, signum: 1e-3 };

/** Falls with the root of the number of features, as sparsify's defaults do; the best of some on SmolLM2-135M after 300,000 tokens. */
export function defaultLearningRate(optimizer: TrainOptimizer, d_transcoder: number): number {
  return RATES[optimizer] / Math.sqrt(d_transcoder / RATED_FEATURES);
}

const DEAD_SHARE = 1 / 8;
const MOST_DEAD_TOKENS = 10_000_000;

/** A feature that is active once in so many tokens is worth having; in a short run it has to be noticed earlier. */
export function defaultDeadTokens(tokens: number): number {
  return Math.max(1, Math.min(MOST_DEAD_TOKENS, Math.round(DEAD_SHARE * tokens)));
}

export const RECIPE_DEFAULTS = {
  kind: 'per-layer',
  activation: 'topk',
  k: 32,
  expansion: 8,
  batchTokens: 2048,
  optimizer: 'adam',
  warmup: 0.05,
  decay: 0.5,
  seed: 0,
  dtype: 'float32',
  auxiliaryWeight: 1 / 32,
} as const;
