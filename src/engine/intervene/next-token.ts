/** Engine: the next token of a prompt before and after a change, for commands that try many prompts. */
import type { Freeze } from '../../intervention/freeze.ts';
import { changedPass, originalPass } from '../../intervention/intervene.ts';
import type { InterventionPlan } from '../../intervention/plan.ts';
import type { Session } from '../session.ts';

/** Logits of the last position, [d_vocab]. */
export interface NextToken {
  readonly before: Float32Array;
  readonly after: Float32Array;
}

/** @param name of the prompt, for the error where logits are not finite */
export async function changedNextToken(
  session: Session,
  tokens: readonly number[],
  plan: InterventionPlan,
  freeze: Freeze,
  { name, signal }: { readonly name: string; readonly signal: AbortSignal | undefined },
): Promise<NextToken> {
  const { replacement, stopwatch } = session;
  const options = { logits: 'last' as const, ...(signal && { signal }) };
  using original = await stopwatch.time('original', () =>
    originalPass(replacement, tokens, freeze, { ...options, inputLayers: plan.inputLayers }),
  );
  using changed = await stopwatch.time('changed', () =>
    changedPass(replacement, tokens, plan, freeze, original, { ...options, inputLayers: [] }),
  );
  const [before, after] = [await original.lastLogits(), await changed.lastLogits()];
  await session.checkFinite(after, `the logits of ${name}`);
  return { before, after };
}
