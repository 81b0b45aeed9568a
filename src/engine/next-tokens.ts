/** Engine: the most likely next tokens of a row of logits. */
import { largestIndices, softmax } from '../model/logits.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { NextTokenResult } from './result.ts';

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
