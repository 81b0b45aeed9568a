/** Engine, `graph validate`: types of the request and the result. */
import type { Computed, FrozenResult } from '../intervene/types.ts';
import type { CommonOptions } from '../request.ts';

export const VALIDATE_DEFAULTS = { top: 10 } as const;

export interface ValidateRequest extends CommonOptions {
  /** Graph file. Model and set are those that it names, unless the request names others. */
  readonly file: string;
  /** How many features, the most influential first. */
  readonly top?: number | undefined;
  /** A logit of the graph; default its first. */
  readonly target?: string | undefined;
  /** Holds everything fixed, so that the edge to the logit alone is measured. */
  readonly direct?: boolean | undefined;
}

export interface ValidatedFeature {
  readonly layer: number;
  readonly position: number;
  readonly token: string;
  readonly feature: number;
  readonly activation: number;
  readonly influence: number;
  /** Change of the target as the graph has it, through all paths (with `direct`: by the edge alone). */
  readonly predicted: number;
  /** By the edge alone. */
  readonly predicted_direct: number;
  /** In the model: before the cap, relative to the mean over the vocabulary, as edges are. */
  readonly actual: number;
  /** Of the target's logit, after the cap. */
  readonly logit_change: number;
  readonly probability_change: number;
}

export interface ValidateResult extends Computed, FrozenResult {
  readonly file: string;
  readonly prompt: string;
  readonly target: { readonly token_id: number; readonly text: string };
  readonly direct: boolean;
  /** The most influential first. */
  readonly features: readonly ValidatedFeature[];
  /** Spearman's, of `predicted` and `actual`; null where there is no order. */
  readonly rank_correlation: number | null;
  /** Of `predicted_direct` and `actual`. */
  readonly rank_correlation_direct: number | null;
  /** Largest |predicted − actual|. */
  readonly largest_error: number;
}
