/** Tokenizer: the rules about the beginning-of-sequence token, for passes and for attribution. */
import { unreachable } from '../errors.ts';

/** Whether BOS is put in front always, or only where the text does not begin with a declared special token. */
export type BosRule = 'always' | 'unless_special_first';

/**
 * What a user may ask for: `auto` is the token that the tokenizer's files name and the rule of the command, `none` puts nothing
 * in front; anything else is the text of a token that is put in front unless the prompt begins with it.
 */
export type BosChoice = 'auto' | 'none' | (string & {});

export const ATTRIBUTION_RULE: BosRule = 'unless_special_first';

/**
 * What a forward pass reads. As in the reference, a prompt that starts with `<bos>` gets a second one where the files put BOS
 * around a text, and in all SentencePiece vocabularies (Gemma, Mistral). Where a byte-level tokenizer's files put nothing in
 * front (Qwen, GPT-OSS, GPT-2), a pass reads attribution's tokens: its positions are those of the graph.
 */
export function modelInputRule(tokenizer: {
  readonly isByteLevel: boolean;
  readonly filesAddBos: boolean;
}): BosRule {
  return tokenizer.isByteLevel && !tokenizer.filesAddBos ? ATTRIBUTION_RULE : 'always';
}

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
