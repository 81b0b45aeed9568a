/** Attention: scores of a query of a head over its visible keys, from the pass, and the weights of contrasts between them. */
import * as tf from '@tensorflow/tfjs-core';
import { UsageError } from '../errors.ts';
import type { PositionWeights } from './head-readers.ts';
import type { TracedPrompt } from './traced-prompt.ts';

/** What a key is compared with: nothing, the mean of the others, the others by their pattern, or another key. */
export type Against = null | 'mean' | 'pattern' | number;

/** A query of a head, with its numbers by key; those of keys that it does not see are absent. */
export interface QueryScores {
  readonly layer: number;
  readonly head: number;
  readonly query: number;
  /** First and last visible key. */
  readonly visible: readonly [number, number];
  readonly window: number | null;
  /** Before cap and mask, by key from the first visible one on. */
  readonly scores: Float64Array;
  readonly capped: Float64Array;
  readonly pattern: Float32Array;
}

/** @throws UsageError for a layer, head or position that does not exist */
export async function queryScores(
  prompt: TracedPrompt,
  layer: number,
  head: number,
  query: number,
): Promise<QueryScores> {
  const { n_heads, n_kv_heads, d_head, attn_scale, attn_scores_soft_cap } = prompt.replacement.model.config;
  const group = n_heads / n_kv_heads;
  const keyHead = Math.floor(head / group);
  const q = await prompt.queries(layer).data<'float32'>();
  const k = await prompt.keys(layer).data<'float32'>();
  const first = prompt.oldestVisible(layer, query);
  const count = query - first + 1;
  const scores = Float64Array.from({ length: count }, (_, i) => {
    let sum = 0;
    const [a, b] = [(query * n_heads + head) * d_head, ((first + i) * n_kv_heads + keyHead) * d_head];
    for (let j = 0; j < d_head; j++) sum += q[a + j]! * k[b + j]!;
    return sum / attn_scale;
  });
  const cap = attn_scores_soft_cap;
  const capped = cap === null ? scores : scores.map((score) => cap * Math.tanh(score / cap));
  return {
    layer,
    head,
    query,
    visible: [first, query],
    window: prompt.window(layer),
    scores,
    capped,
    pattern: (await patternRow(prompt, layer, head, query)).slice(first),
  };
}

/** A row of the pattern, [query + 1]. */
async function patternRow(
  prompt: TracedPrompt,
  layer: number,
  head: number,
  query: number,
): Promise<Float32Array> {
  return (await patternRows(prompt, layer, head, query, 1)).subarray(0, query + 1);
}

/** The pattern of a head, [n_pos, n_pos]. */
export function headPattern(prompt: TracedPrompt, layer: number, head: number): Promise<Float32Array> {
  return patternRows(prompt, layer, head, 0, prompt.n_pos);
}

/** Rows of the pattern from a query on, [count, n_pos]. */
async function patternRows(
  prompt: TracedPrompt,
  layer: number,
  head: number,
  first: number,
  count: number,
): Promise<Float32Array> {
  const { n_heads, n_kv_heads } = prompt.replacement.model.config;
  const { n_pos } = prompt;
  const group = n_heads / n_kv_heads;
  using attention = await prompt.linear.attention(layer);
  const divided = attention.dividedPattern;
  const rows = tf.slice(divided, [Math.floor(head / group), first, head % group, 0], [1, count, 1, n_pos]);
  try {
    const values = await rows.data<'float32'>();
    const { norms } = prompt.replacement.model.weights.blocks[layer]!;
    const ln1 = norms.ln1 ? await prompt.at(layer, 'ln1.hook_scale').data<'float32'>() : null;
    const post = norms.ln1_post ? await prompt.at(layer, 'ln1_post.hook_scale').data<'float32'>() : null;
    return values.map(
      (value, i) => value * (ln1?.[i % n_pos] ?? 1) * (post?.[first + Math.floor(i / n_pos)] ?? 1),
    );
  } finally {
    rows.dispose();
  }
}

/** The key that a query looks at most. */
export function strongestKey({ visible, pattern }: QueryScores): number {
  return visible[0] + pattern.reduce((best, value, i) => (value > pattern[best]! ? i : best), 0);
}

/** capped / score of a key. */
export function capFactor({ scores, capped, visible }: QueryScores, key: number): number {
  const i = key - visible[0];
  return scores[i] === 0 ? 1 : capped[i]! / scores[i]!;
}

/** Weights ω of the other visible keys, which sum to one; null where there is no other. */
export function otherWeights(
  { visible, pattern }: QueryScores,
  key: number,
  against: Exclude<Against, null>,
): Map<number, number> | null {
  const [first, last] = visible;
  const others = Array.from({ length: last - first + 1 }, (_, i) => first + i).filter((each) => each !== key);
  if (others.length === 0) return null;
  if (typeof against === 'number') return new Map([[against, 1]]);
  const share = (each: number): number => (against === 'mean' ? 1 : pattern[each - first]!);
  const sum = others.reduce((total, each) => total + share(each), 0);
  // A pattern that leaves nothing for other keys weighs them equally.
  return new Map(others.map((each) => [each, sum > 0 ? share(each) / sum : 1 / others.length]));
}

/** What a contrast adds up to; null where there is none. */
export function contrastTotal(of: QueryScores, key: number, against: Exclude<Against, null>): number | null {
  const weights = otherWeights(of, key, against);
  if (!weights) return null;
  const at = (each: number): number => of.capped[each - of.visible[0]]!;
  let total = at(key);
  for (const [other, weight] of weights) total -= weight * at(other);
  return total;
}

/** Weights of key positions of what is decomposed: the score of a key, or its contrast. */
export function keyWeights(of: QueryScores, key: number, against: Against): PositionWeights {
  if (against === null) return new Map([[key, 1]]);
  const weights = new Map([[key, capFactor(of, key)]]);
  for (const [other, weight] of otherWeights(of, key, against) ?? [])
    weights.set(other, -weight * capFactor(of, other));
  return weights;
}

/** @throws UsageError for a key that the query does not see, naming those that it does */
export function checkVisible({ visible: [first, last], query, layer, head }: QueryScores, key: number): void {
  if (key >= first && key <= last) return;
  throw new UsageError({
    code: 'key_not_visible',
    message: `the query at position ${query} of head ${layer}.${head} does not see the key at position ${key}`,
    hint: first === last ? `It sees ${first} alone.` : `It sees keys ${first} to ${last}.`,
  });
}

/** @throws UsageError for a contrast with no other key, with the key itself, or with one that is not visible */
export function checkContrast(of: QueryScores, key: number, against: Against): void {
  if (against === null) return;
  const [first, last] = of.visible;
  if (first === last) {
    throw new UsageError({
      code: 'no_contrast',
      message: `the query at position ${of.query} of head ${of.layer}.${of.head} sees one key, so there is no other to compare it with`,
      hint: 'Leave out --against, or take a later --query.',
    });
  }
  if (typeof against !== 'number') return;
  checkVisible(of, against);
  if (against !== key) return;
  throw new UsageError({
    code: 'no_contrast',
    message: `the key at position ${key} cannot be compared with itself`,
    hint: 'Give another key with --against, or mean, or pattern.',
  });
}
