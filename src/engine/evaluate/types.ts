/** Engine, verb `evaluate`: types of the request and the result. */
import type { Arithmetic, Device } from '../../backend/backend.ts';
import type { LayerFidelity } from '../../evaluation/layer-sums.ts';
import type { CommonOptions } from '../request.ts';
import type { Subject } from '../result.ts';

export const EVALUATE_DEFAULTS = {
  /** Tokens of a window, BOS included. */
  context: 128,
} as const;

export interface EvaluateRequest extends CommonOptions {
  /** Files, each text with one document a line, or JSON Lines with `text`. */
  readonly corpus: readonly string[];
  /** Tokens to measure; default all. */
  readonly tokens?: number | undefined;
  readonly context?: number | undefined;
  /** Layers that are replaced one at a time, which costs passes for each; default all of the set. */
  readonly layers?: readonly number[] | undefined;
  /** Continues an interrupted evaluation with the same options. */
  readonly resume?: boolean | undefined;
  /** The file that progress is kept in; default one in the user's cache folder. */
  readonly state?: string | undefined;
  /** Every layer has to have at least this explained variance, else `ExpectationError`. */
  readonly expectExplainedVariance?: number | undefined;
  /** With all layers replaced, at least this share of the loss has to be recovered. */
  readonly expectLossRecovered?: number | undefined;
  /** No layer may have more active features a token. */
  readonly expectL0AtMost?: number | undefined;
  /** With all layers replaced, KL may not be larger. */
  readonly expectKlAtMost?: number | undefined;
}

/** Losses are nats a token. Null where a measure is not defined, and of layers that were not replaced alone. */
export interface EvaluatedLayer extends Omit<LayerFidelity, 'best_scale' | 'explained_at_best_scale'> {
  /** Cross-entropy with this layer alone replaced by its features, and by its mean. */
  readonly ce_replaced: number | null;
  readonly ce_mean_ablated: number | null;
  /** (ce_mean_ablated − ce_replaced) / (ce_mean_ablated − ce_clean) */
  readonly ce_recovered: number | null;
  /** KL(original ‖ replaced) */
  readonly kl: number | null;
}

export interface EvaluateResult extends Subject {
  readonly backend: string;
  readonly device: Device;
  readonly dtype: Arithmetic;
  readonly corpus: readonly string[];
  readonly feature_input_hook: string;
  readonly feature_output_hook: string;
  readonly context: number;
  readonly n_documents: number;
  readonly n_windows: number;
  /** Tokens that were measured: without those at the beginning of a window that count as inactive. */
  readonly n_tokens: number;
  /** Next tokens that were predicted. */
  readonly n_predictions: number;
  /** Tokens of an earlier, interrupted run. */
  readonly n_resumed_tokens: number;
  readonly layers: readonly EvaluatedLayer[];
  /** With all layers of the set replaced. */
  readonly all: {
    readonly ce_clean: number | null;
    readonly ce_replaced: number | null;
    readonly ce_mean_ablated: number | null;
    readonly ce_recovered: number | null;
    readonly kl: number | null;
  };
  /** Explained variance at some tokens if features read other hooks; only where layers are badly rebuilt. */
  readonly input_trials?: readonly {
    readonly hook: string;
    readonly transposed: boolean;
    readonly layers: readonly { readonly layer: number; readonly explained_variance: number }[];
  }[];
  /** What is likely wrong with the set, in words. */
  readonly diagnosis: readonly string[];
  readonly warnings: readonly string[];
  readonly timings_ms: Readonly<Record<string, number>>;
  readonly peak_rss_bytes: number;
}
