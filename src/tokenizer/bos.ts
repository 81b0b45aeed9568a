/** What every forward pass and every attribution has to know about the beginning-of-sequence token, as data. */
import { unreachable } from '../errors.ts';

/** Whether BOS is put in front: whatever the text is, or only where no declared special token stands there already. */
export type BosRule = 'always' | 'unless_special_first';

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

/** BOS: its activations are far larger than all others and would drown every other edge. */
const N_IGNORED = 1;

/**
 * How many leading positions attribution leaves out: their feature activations and error vectors are set to zero.
 * In Gemma-2 this is a rule about the position and not about the token, so BOS need not stand there.
 */
export function ignoredPositions(ids: ArrayLike<number>): number {
  return Math.min(N_IGNORED, ids.length);
}
