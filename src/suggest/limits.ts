/** Suggest, limits: how large a circuit may be. */
import { UsageError } from '../errors.ts';

export interface SuggestLimits {
  /** Boxes: groups of features, tokens and logits. */
  readonly maxBoxes: number;
  /** Feature nodes. */
  readonly maxNodes: number;
}

/** A picture of more boxes is not read at a glance; circuits in papers have about so many. */
export const SUGGEST_DEFAULTS: SuggestLimits = { maxBoxes: 12, maxNodes: 40 };
/** A token, a feature and a logit. */
export const FEWEST_BOXES = 3;
/** The tree of groups takes time with the cube of the number of nodes. */
export const MOST_NODES = 200;

/** Throws `UsageError` that names the flag. */
export function checkLimits({ maxBoxes, maxNodes }: SuggestLimits): void {
  check('--max-boxes', maxBoxes, FEWEST_BOXES, MOST_NODES);
  check('--max-nodes', maxNodes, 1, MOST_NODES);
}

function check(flag: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new UsageError({
    code: 'suggest_limit',
    message: `${flag} is ${value}, but a circuit has from ${least} to ${most} of them.`,
    hint: `Give ${flag} a whole number from ${least} to ${most}.`,
  });
}
