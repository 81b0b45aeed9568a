/** Logits as targets of tests. */
import { chooseTargets, type Targets } from '../../src/attribution/targets.ts';
import type { TracedPrompt } from '../../src/attention/traced-prompt.ts';
import type { LoadedFixture } from '../support/replacement.ts';

/** The two most likely. Dispose them after use. */
export async function likelyLogits(
  { replacement, tokenizer }: LoadedFixture,
  prompt: TracedPrompt,
): Promise<Targets> {
  return await chooseTargets(
    { kind: 'most_likely', maxLogits: 2, desiredProbability: 1 },
    await prompt.pass.lastLogits(),
    replacement,
    tokenizer,
  );
}
