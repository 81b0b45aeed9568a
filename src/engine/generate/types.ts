/** Engine, verb `generate`: types of the request and the result. */
import type { Computed, FrozenResult, InterventionChoice } from '../intervene/types.ts';
import type { CommonOptions, PromptInput } from '../request.ts';
import type { SavedFileResult, TokenResult } from '../result.ts';

export const GENERATE_DEFAULTS = {
  maxNewTokens: 20,
  /** The most likely token, always. */
  temperature: 0,
} as const;

export interface GenerateRequest extends CommonOptions, InterventionChoice {
  readonly input: PromptInput;
  readonly maxNewTokens?: number | undefined;
  readonly temperature?: number | undefined;
  readonly topK?: number | undefined;
  readonly topP?: number | undefined;
  /** Left out: one that the result names. */
  readonly seed?: number | undefined;
  /** Default true. */
  readonly stopAtEos?: boolean | undefined;
  /** Ends when the continuation's text contains one of these, which is then in the text. */
  readonly stop?: readonly string[] | undefined;
  /** Logits, activations and tokens to a safetensors file. */
  readonly output?: string | undefined;
  readonly preActivations?: boolean | undefined;
  /** Called with the text of the prompt, then with every piece of text as soon as it is complete. */
  readonly onText?: ((piece: string) => void | Promise<void>) | undefined;
}

export interface GenerateResult extends Computed, FrozenResult {
  /** Prompt and continuation. */
  readonly tokens: readonly TokenResult[];
  readonly n_prompt_tokens: number;
  /** Prompt and continuation, special tokens left out. */
  readonly text: string;
  /** The continuation alone: what `text` has beyond the prompt's own. */
  readonly continuation: string;
  readonly stopped_at: 'eos' | 'stop' | 'length';
  /** The text of the token that ends texts, or the one of `stop` that was found; null at `length`. */
  readonly stopped_by: string | null;
  /** Null when nothing was drawn. */
  readonly seed: number | null;
  readonly files: readonly SavedFileResult[];
  /** Of the pass over the prompt, unchanged pass included where it is needed. */
  readonly first_token_ms: number;
  /** Mean of the later ones; null without any. */
  readonly ms_per_token: number | null;
}
