/** Engine, verb `intervene`: what changed heads do to logits, by the linear model and in truth. */
import * as attentionEffects from '../../attention/effects.ts';
import { headPattern } from '../../attention/scores.ts';
import { TracedPrompt } from '../../attention/traced-prompt.ts';
import { chooseTargets } from '../../attribution/targets.ts';
import type { Tensor2D } from '../../backend/backend.ts';
import { headFactors } from '../../intervention/head-change.ts';
import type { HeadChanges } from '../../intervention/head-edits.ts';
import { BEFORE_UNEMBEDDING } from '../../model/logit-blocks.ts';
import type { ForwardResult } from '../../model/transformer.ts';
import type { Session } from '../session.ts';
import type { HeadEffectResult } from './types.ts';

/**
 * Effects on tokens at the last position. The prediction sums the effects of the changed entries: exact for heads of one layer when
 * everything else is held fixed, first order for several layers.
 */
export async function headChangeEffects(
  { replacement, tokenizer }: Session,
  tokens: readonly number[],
  { changes, renormalize }: HeadChanges,
  tokenIds: readonly number[],
  passes: { readonly original: ForwardResult; readonly changed: ForwardResult },
  signal: AbortSignal | undefined,
): Promise<HeadEffectResult[]> {
  using prompt = await TracedPrompt.of(replacement, tokens, { signal });
  const choice = { kind: 'tokens', ids: tokenIds } as const;
  using targets = await chooseTargets(choice, await prompt.pass.lastLogits(), replacement, tokenizer);
  const places = [...new Map(changes.map((one) => [`${one.layer}.${one.head}`, one])).values()];
  const { entries } = await attentionEffects.headEffects(prompt, targets.vectors, places);
  const { n_heads } = replacement.model.config;
  const n = tokens.length;
  const predicted = new Float64Array(tokenIds.length);
  for (const [i, { layer, head }] of places.entries()) {
    const factors = headFactors(changes, layer, n_heads, n).subarray(head * n * n, (head + 1) * n * n);
    const pattern = await headPattern(prompt, layer, head);
    const scales = renormalize ? rowScales(pattern, factors, n) : new Float64Array(n).fill(1);
    for (let target = 0; target < tokenIds.length; target++)
      for (let at = 0; at < n * n; at++) {
        const change = factors[at]! * scales[Math.floor(at / n)]! - 1;
        if (change !== 0) predicted[target]! += change * entries[i]!.total[target * n * n + at]!;
      }
  }
  const change = await centredChanges(targets.vectors, passes);
  return tokenIds.map((token_id, i) => ({
    token_id,
    text: targets.labels[i]!,
    predicted: predicted[i]!,
    change: change[i]!,
  }));
}

/** What rows are scaled by so that they add up to what they added up to; 1 where nothing is left. */
function rowScales(pattern: Float32Array, factors: Float32Array, n: number): Float64Array {
  return Float64Array.from({ length: n }, (_, query) => {
    let [before, after] = [0, 0];
    for (let at = query * n; at < (query + 1) * n; at++) {
      before += pattern[at]!;
      after += pattern[at]! * factors[at]!;
    }
    return after === 0 ? 1 : before / after;
  });
}

/** Changes of centred logits before the cap, of centred vectors [n, d_model]. */
async function centredChanges(
  vectors: Tensor2D,
  { original, changed }: { readonly original: ForwardResult; readonly changed: ForwardResult },
): Promise<number[]> {
  const rows = await vectors.data<'float32'>();
  const d_model = vectors.shape[1];
  const [before, after] = await Promise.all(
    [original, changed].map((pass) => pass.activations.get<Tensor2D>(BEFORE_UNEMBEDDING).data<'float32'>()),
  );
  const from = before!.length - d_model; // of the last position
  return Array.from({ length: vectors.shape[0] }, (_, row) => {
    let sum = 0;
    for (let j = 0; j < d_model; j++)
      sum += rows[row * d_model + j]! * (after![from + j]! - before![from + j]!);
    return sum;
  });
}
