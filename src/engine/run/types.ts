/** Engine, verb `run`: types of the request and the result. */
import type { Arithmetic, Device } from '../../backend/backend.ts';
import type { ChatResult } from '../chat.ts';
import type { Noted } from '../prompt-notes.ts';
import type { CommonOptions, PromptInput } from '../request.ts';
import type { NextTokenResult, SavedFileResult, Subject, TokenResult } from '../result.ts';

export interface RunRequest extends CommonOptions {
  readonly input: PromptInput;
  /** How many of the most likely next tokens. */
  readonly top?: number | undefined;
  /** How many of the strongest features a token; left out: no features are computed. */
  readonly features?: number | undefined;
  /** The most likely next token has to be one of these, else `ExpectationError`. */
  readonly expect?: readonly string[] | undefined;
  /** The most likely next token (one of `expect`, where given) has to have at least this probability. */
  readonly expectProbability?: number | undefined;
  /** Hook values to a safetensors file; `names` are hook names or patterns with `*`, empty: all. */
  readonly saveActivations?: { readonly file: string; readonly names: readonly string[] } | undefined;
  /** Attention patterns of all layers to a safetensors file. */
  readonly savePatterns?: string | undefined;
  /** All active features to a safetensors file. */
  readonly saveFeatures?: string | undefined;
  /** Later passes that are timed after the first one. */
  readonly repeat?: number | undefined;
}

export interface FeatureResult {
  readonly layer: number;
  readonly position: number;
  readonly feature: number;
  readonly activation: number;
}

export interface RunResult extends Subject, Noted, ChatResult {
  readonly backend: string;
  readonly device: Device;
  readonly dtype: Arithmetic;
  readonly tokens: readonly TokenResult[];
  /** Logits, `[1, T, V]`. */
  readonly output: { readonly shape: readonly [number, number, number]; readonly dtype: string };
  readonly top: readonly NextTokenResult[];
  /** The strongest of each position, by position, then by activation; only when asked for. */
  readonly features?: readonly FeatureResult[];
  readonly files?: readonly SavedFileResult[];
  /** Present when there was an expectation; it was met, or the verb would have thrown. */
  readonly expectation?: { readonly expected: readonly string[]; readonly min_probability: number | null };
  /** `load`, `forward`, … */
  readonly timings_ms: Readonly<Record<string, number>>;
  /** Milliseconds of each later pass (`--repeat`). */
  readonly repeats_ms?: readonly number[];
  readonly peak_rss_bytes: number;
}
