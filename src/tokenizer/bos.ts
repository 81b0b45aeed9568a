/** Tokenizer: what is put in front of a prompt, and which of its first positions attribution leaves out. */
import { unreachable } from '../errors.ts';

/** When a token is put in front of a text. */
export type BosRule =
  /** Also where the text begins with one. */
  | 'always'
  /** Unless the text begins with a declared special token. */
  | 'unless_special_first'
  /** Unless the text begins with this token. */
  | 'unless_bos_first';

/** What a model expects of prompts; a datum of its family. */
export interface PromptRule {
  /** For passes (`run`, `intervene`, `generate`) and for attribution. Where both are the same, a text has the same positions in both. */
  readonly bos: { readonly pass: BosRule; readonly attribution: BosRule };
  /**
   * How many leading positions attribution leaves out: their feature activations and error vectors are zero. The activations at
   * BOS are far larger than all others, so that no other edge would count. The rule is about the position, whatever stands there.
   */
  readonly n_ignored: number;
  /** Ids that a prompt for attribution has to begin with. */
  readonly beginning: readonly number[];
}

/** Of most families. */
export const USUAL_PROMPT: PromptRule = {
  bos: { pass: 'unless_special_first', attribution: 'unless_special_first' },
  n_ignored: 1,
  beginning: [],
};

/**
 * What a user may ask for: `auto` is the token that the tokenizer's files name and the rule of the model, `none` puts nothing
 * in front; anything else is the text of a token that is put in front unless the prompt begins with it.
 */
export type BosChoice = 'auto' | 'none' | (string & {});

export function withBos(
  ids: readonly number[],
  rule: BosRule,
  special: { readonly bosId: number; readonly ids: ReadonlySet<number> },
): number[] {
  switch (rule) {
    case 'always':
      return [special.bosId, ...ids];
    case 'unless_special_first':
      return ids.length > 0 && special.ids.has(ids[0]!) ? [...ids] : [special.bosId, ...ids];
    case 'unless_bos_first':
      return ids[0] === special.bosId ? [...ids] : [special.bosId, ...ids];
    default:
      return unreachable(rule);
  }
}
