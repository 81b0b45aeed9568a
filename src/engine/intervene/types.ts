/** Engine, verb `intervene`: types of requests and results. */
import type { Arithmetic, Device } from '../../backend/backend.ts';
import type { FreezeOptions } from '../../intervention/freeze.ts';
import type { HeadChange } from '../../intervention/head-change.ts';
import type { Change, Intervention } from '../../intervention/intervention.ts';
import type { ScaledSupernode } from '../../intervention/supernodes.ts';
import type { Sweep } from '../../intervention/text-form.ts';
import type { Failure } from '../failure.ts';
import type { ChatResult } from '../chat.ts';
import type { Noted } from '../prompt-notes.ts';
import type { ChatChoice, CommonOptions, PromptInput } from '../request.ts';
import type { NextTokenResult, SavedFileResult, Subject, TokenResult } from '../result.ts';

export const INTERVENE_DEFAULTS = {
  /** Most likely next tokens that are compared. */
  top: 10,
  /** Features whose activation changed most. */
  features: 10,
} as const;

/** Which features get which activations, and what of the original pass is held fixed. */
export interface InterventionChoice extends FreezeOptions {
  /** Of several for one feature and position the last one counts. */
  readonly interventions?: readonly Intervention[] | undefined;
  /** Come before `interventions`. */
  readonly supernodes?: readonly ScaledSupernode[] | undefined;
  /** Entries of attention patterns that are scaled. */
  readonly heads?: readonly HeadChange[] | undefined;
  /** Changed rows of patterns add up to what they added up to before. Default: they stay as the changes leave them. */
  readonly renormalize?: boolean | undefined;
}

/** Expectations; the exit code is 6 if one is not met. */
export interface Expectation {
  /** The most likely next token is one of these. */
  readonly expect?: readonly string[] | undefined;
  /** The most likely next token is none of these. */
  readonly expectNot?: readonly string[] | undefined;
  /** The most likely next token has at least this probability. */
  readonly expectProbability?: number | undefined;
}

export interface InterveneRequest extends CommonOptions, InterventionChoice, Expectation {
  readonly input: PromptInput;
  readonly top?: number | undefined;
  /** 0: features are not compared. */
  readonly features?: number | undefined;
  /** Tokens that effects of changed heads are given on. Default: those of `changes`. */
  readonly effectTokens?: readonly number[] | undefined;
  /** Logits and activations to a safetensors file. */
  readonly output?: string | undefined;
  /** Writes the numbers before the activation function instead of activations. */
  readonly preActivations?: boolean | undefined;
}

export interface SweepRequest extends CommonOptions, InterventionChoice {
  readonly input: PromptInput;
  /** Comes after `interventions`. */
  readonly sweep: Sweep;
  readonly top?: number | undefined;
  /** Writes the table as CSV. */
  readonly csv?: string | undefined;
}

/** One line of a batch. */
export interface BatchCase extends InterventionChoice, Expectation {
  /** In the file, from 1. */
  readonly line: number;
  readonly name?: string | undefined;
  readonly input: PromptInput;
}

export interface BatchRequest extends CommonOptions {
  readonly cases: readonly BatchCase[];
  readonly top?: number | undefined;
}

/** The same interventions in every prompt of a list. */
export interface IntervenePromptsRequest extends CommonOptions, InterventionChoice {
  /** JSON Lines, CSV, TSV or Parquet with `slug`, `prompt` and any other columns. */
  readonly prompts: string;
  /** Holds for all of them. */
  readonly chat?: ChatChoice | undefined;
  readonly top?: number | undefined;
  /** Table to write: `.parquet` or `.jsonl`. */
  readonly output?: string | undefined;
}

// ---- results

/** How a result was computed. */
export interface Computed extends Subject, Noted, ChatResult {
  readonly backend: string;
  readonly device: Device;
  readonly dtype: Arithmetic;
  readonly timings_ms: Readonly<Record<string, number>>;
  readonly peak_rss_bytes: number;
}

export interface FrozenResult {
  readonly freeze_attention: boolean;
  /** [from, to), null when none is constrained. */
  readonly constrained_layers: readonly [number, number] | null;
}

/** An activation before and after: in the original pass and as asked for, or as seen in both passes. */
export interface FeatureChangeResult {
  readonly layer: number;
  readonly position: number;
  readonly feature: number;
  readonly before: number;
  readonly after: number;
}

export interface TokenChangeResult {
  readonly token_id: number;
  readonly text: string;
  readonly logit_before: number;
  readonly logit_after: number;
  readonly probability_before: number;
  readonly probability_after: number;
}

/** Effect of an intervention on the next token. */
export interface EffectResult {
  readonly baseline: { readonly top: readonly NextTokenResult[] };
  readonly top: readonly NextTokenResult[];
  /** KL(before ‖ after) of the next token, in nats. */
  readonly kl_divergence: number;
}

/** An effect of the changed heads on a logit before the cap, relative to the mean over the vocabulary. */
export interface HeadEffectResult {
  readonly token_id: number;
  readonly text: string;
  /** By the linear model, in which everything else is held fixed: the sum of the effects of the entries. */
  readonly predicted: number;
  /** As the changed pass has it. */
  readonly change: number;
}

/** Changed heads; positions from the start, null for all. */
export interface HeadsChangeResult {
  readonly changes: readonly HeadChange[];
  readonly renormalize: boolean;
  /** Of the tokens in `changes`, or of those of the request, in their order; null where features were changed too, which the prediction does not know. */
  readonly effects: readonly HeadEffectResult[] | null;
}

export interface InterveneResult extends Computed, FrozenResult, EffectResult {
  readonly tokens: readonly TokenResult[];
  /** Activation in the original pass, and the value asked for. */
  readonly interventions: readonly FeatureChangeResult[];
  /** Present when heads were changed. */
  readonly heads?: HeadsChangeResult;
  /** Of the tokens in either `top`, the most likely one after the change first. */
  readonly changes: readonly TokenChangeResult[];
  /** Over all positions and tokens. */
  readonly max_abs_logit_change: number;
  /** Computed from the transcoders' inputs in both passes, largest change first. */
  readonly features: readonly FeatureChangeResult[];
  readonly files: readonly SavedFileResult[];
}

export interface SweepPoint extends Pick<EffectResult, 'top' | 'kl_divergence'> {
  /** The number that the range runs over: a value, a factor or an amount. */
  readonly value: number;
  /** Of the token that is the most likely one without any change. */
  readonly baseline_token: {
    readonly logit: number;
    readonly logit_change: number;
    readonly probability: number;
  };
}

export interface SweepResult extends Computed, FrozenResult {
  readonly tokens: readonly TokenResult[];
  readonly sweep: {
    readonly layer: number;
    /** As written: `10`, `2..` */
    readonly position: string;
    readonly feature: number;
    readonly kind: Change['kind'];
  };
  readonly baseline: { readonly top: readonly NextTokenResult[] };
  readonly points: readonly SweepPoint[];
  readonly files: readonly SavedFileResult[];
}

export interface BatchCaseResult extends EffectResult, ChatResult {
  readonly line: number;
  readonly name: string | null;
  readonly prompt: string;
  readonly passed: boolean;
  /** The result in place of the expected one; null when it passed. */
  readonly failure: string | null;
}

export interface BatchResult extends Computed {
  readonly n_cases: number;
  readonly n_failed: number;
  readonly cases: readonly BatchCaseResult[];
}

/** One line of a list. */
export type IntervenedPrompt = { readonly line: number; readonly slug: string | null } & (
  | ({
      readonly ok: true;
      readonly slug: string;
      readonly prompt: string;
      /** What is most likely without the change, and what becomes of it. */
      readonly before: TokenChangeResult;
      /** What is most likely with the change. */
      readonly after: { readonly token_id: number; readonly text: string; readonly probability: number };
    } & EffectResult)
  | ({ readonly ok: false } & Failure)
);

export interface IntervenePromptsResult extends Computed, FrozenResult {
  readonly n_done: number;
  readonly n_failed: number;
  /** Prompts of which another token is then most likely. */
  readonly n_changed: number;
  /** Null where no prompt was changed. */
  readonly mean_kl_divergence: number | null;
  readonly prompts: readonly IntervenedPrompt[];
  readonly files: readonly SavedFileResult[];
}
