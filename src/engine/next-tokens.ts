/** Engine: the most likely next tokens of a row of logits. */
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { NextTokenResult } from './results.ts';

/** Softmax of a row of logits [d_vocab], summed in double precision. */
export function softmax(logits: Float32Array): Float64Array {
  let largest = -Infinity;
  for (const logit of logits) if (logit > largest) largest = logit;
  const probabilities = Float64Array.from(logits, (logit) => Math.exp(logit - largest));
  let sum = 0;
  for (const p of probabilities) sum += p;
  return probabilities.map((p) => p / sum);
}

/** Indices of the k largest values, largest first; of equal ones the smaller index first. */
export function largestIndices(values: ArrayLike<number>, k: number): number[] {
  const best: number[] = [];
  for (let i = 0; i < values.length; i++) {
    if (best.length === k && values[i]! <= values[best[k - 1]!]!) continue;
    let place = best.length;
    while (place > 0 && values[best[place - 1]!]! < values[i]!) place--;
    best.splice(place, 0, i);
    if (best.length > k) best.pop();
  }
  return best;
}

/** The k most likely tokens of a row of logits. */
export function mostLikely(logits: Float32Array, k: number, tokenizer: Tokenizer): NextTokenResult[] {
  const probabilities = softmax(logits);
  const ids = largestIndices(logits, Math.min(k, logits.length));
  const texts = tokenizer.tokenStrings(ids);
  return ids.map((token_id, i) => ({
    token_id,
    text: texts[i]!,
    logit: logits[token_id]!,
    probability: probabilities[token_id]!,
  }));
}
