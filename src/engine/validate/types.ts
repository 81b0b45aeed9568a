/** Engine, `graph validate`: types of the request and the result. */
import type { Estimate } from '../../study/bootstrap.ts';
import type { Failure } from '../failure.ts';
import type { Computed, FrozenResult } from '../intervene/types.ts';
import type { CommonOptions } from '../request.ts';
import type { SavedFileResult } from '../result.ts';

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

// ---- a circuit of many prompts

export interface ValidateCircuitRequest extends CommonOptions {
  /** What `graph circuit` wrote. Model and set are those that it names, unless the request names others. */
  readonly file: string;
  /** Tried on the graphs of its selection that it was not found in; or on `prompts`. */
  readonly study?: string | undefined;
  /** JSON Lines, CSV, TSV or Parquet with `slug` and `prompt`: tried on those that it was not found in. */
  readonly prompts?: string | undefined;
  /** Table to write: `.parquet` or `.jsonl`. */
  readonly output?: string | undefined;
  /** Draws the random features, and for the interval. */
  readonly seed?: number | undefined;
}

/** An answer in one pass. */
export interface AnswerReading {
  /** Before the cap, relative to the mean over the vocabulary, as edges are. */
  readonly logit: number;
  readonly probability: number;
  /** Whether it is the most likely token: 1 or 0, or a mean of these. */
  readonly is_first: number;
}

/** Which features are left: all, the circuit's, none, all but the circuit's, as many random ones, all but as many random ones. */
export const READINGS = ['all', 'circuit', 'none', 'without', 'random', 'without_random'] as const;
export type Readings = Readonly<Record<(typeof READINGS)[number], AnswerReading>>;

export interface CircuitMeasure extends Readings {
  /** The answer. */
  readonly token_id: number;
  /** Features of the circuit that are active, of all that are. */
  readonly n_circuit: number;
  readonly n_active: number;
}

export interface ValidatedPrompt extends CircuitMeasure {
  readonly slug: string;
  readonly prompt: string;
  readonly answer: string;
  /** Change of the logit without the circuit, as the graph of the prompt has it; null for a prompt of a list. */
  readonly predicted: number | null;
}

export interface FailedPrompt extends Failure {
  readonly line: number;
  readonly slug: string | null;
}

/** Of what all features add to the logit of the answer, a part. */
export interface CircuitShare {
  /** Null where all features add nothing. */
  readonly estimate: Estimate | null;
  /** The same of as many features that are drawn at random from those that are active. */
  readonly random: number | null;
}

export interface ValidateCircuitResult extends Computed, FrozenResult {
  readonly file: string;
  /** The study, or the list of prompts. */
  readonly where: string;
  readonly n_features: number;
  /** Graphs that it was found in. */
  readonly n_found_in: number;
  /** Others, that it was tried on. */
  readonly n_prompts: number;
  readonly seed: number;
  /** What the circuit's features keep when all others are switched off: (circuit − none) / (all − none). */
  readonly recovered: CircuitShare;
  /** What is lost when they are switched off: (all − without) / (all − none). */
  readonly lost: CircuitShare;
  /** Over prompts. */
  readonly means: Readings;
  /** Changes of the logit without the circuit: by the graphs of the prompts, and in the model. Null for a list. */
  readonly predicted: {
    readonly mean: number;
    readonly actual_mean: number;
    /** Spearman's, over prompts; null where there is no order. */
    readonly rank_correlation: number | null;
  } | null;
  readonly prompts: readonly ValidatedPrompt[];
  /** Lines of the list that could not be used. */
  readonly failed: readonly FailedPrompt[];
  readonly files: readonly SavedFileResult[];
}
