/** Tokenizer: the rules about the beginning-of-sequence token, for passes and for attribution. */
import { unreachable } from '../errors.ts';

/** Whether BOS is put in front always, or only where the text does not begin with a declared special token. */
export type BosRule = 'always' | 'unless_special_first';

/**
 * What a user may ask for: `auto` is the token that the tokenizer's files name and the rule of the command, `none` puts nothing
 * in front; anything else is the text of a token that is put in front unless the prompt begins with it.
 */
export type BosChoice = 'auto' | 'none' | (string & {});

/** The reference tokenizes in two ways; a prompt that starts with `<bos>` or `<start_of_turn>` differs between them. */
export const BOS_RULES = {
  modelInput: 'always',
  attributionInput: 'unless_special_first',
} as const satisfies Record<string, BosRule>;

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
    default:
      return unreachable(rule);
  }
}

/** BOS: its activations are far larger than all others, so that no other edge would count. */
const N_IGNORED = 1;

/**
 * How many leading positions attribution leaves out: their feature activations and error vectors are set to zero.
 * In Gemma-2 the rule is about the position and not about the token: it holds also where that token is not BOS.
 */
export function ignoredPositions(ids: ArrayLike<number>): number {
  return Math.min(N_IGNORED, ids.length);
}
