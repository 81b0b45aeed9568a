/** Engine: the effect of a changed pass on the next token, compared with the expectation. */
import { klDivergence } from '../../intervention/compare.ts';
import { softmax } from '../../model/logits.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import type { EffectResult, Expectation, TokenChangeResult } from './types.ts';
import { mostLikely } from '../next-tokens.ts';
import type { NextTokenResult } from '../result.ts';

/** @param before and after: logits of the last position, [d_vocab] */
export function effectOf(
  before: Float32Array,
  after: Float32Array,
  k: number,
  tokenizer: Tokenizer,
): EffectResult {
  return {
    baseline: { top: mostLikely(before, k, tokenizer) },
    top: mostLikely(after, k, tokenizer),
    kl_divergence: klDivergence(before, after),
  };
}

/** Tokens of both lists, the most likely one after the change first. */
export function tokenChanges(
  before: Float32Array,
  after: Float32Array,
  { baseline, top }: EffectResult,
): TokenChangeResult[] {
  const [pBefore, pAfter] = [softmax(before), softmax(after)];
  const texts = new Map([...top, ...baseline.top].map(({ token_id, text }) => [token_id, text]));
  return [...texts]
    .map(([token_id, text]) => ({
      token_id,
      text,
      logit_before: before[token_id]!,
      logit_after: after[token_id]!,
      probability_before: pBefore[token_id]!,
      probability_after: pAfter[token_id]!,
    }))
    .sort((a, b) => b.logit_after - a.logit_after || a.token_id - b.token_id);
}

/** An expectation as token ids. */
export interface CheckedExpectation {
  readonly wanted: ReadonlySet<number> | null;
  readonly unwanted: ReadonlySet<number>;
  readonly probability: number | null;
  /** For messages. */
  readonly text: string;
}

/** Throws `UsageError` for a text that is not one token. */
export function checkExpectation(expectation: Expectation, tokenizer: Tokenizer): CheckedExpectation {
  const { expect = [], expectNot = [], expectProbability } = expectation;
  const ids = (texts: readonly string[]): Set<number> =>
    new Set(texts.map((text) => tokenizer.singleToken(text)));
  const quoted = (texts: readonly string[]): string => texts.map((text) => JSON.stringify(text)).join(' or ');
  const parts = [
    ...(expect.length > 0 ? [quoted(expect)] : []),
    ...(expectNot.length > 0 ? [`not ${quoted(expectNot)}`] : []),
    ...(expectProbability === undefined ? [] : [`a probability of at least ${expectProbability}`]),
  ];
  return {
    wanted: expect.length > 0 ? ids(expect) : null,
    unwanted: ids(expectNot),
    probability: expectProbability ?? null,
    text: parts.join(', '),
  };
}

/** The result in place of the expected one; null when the expectation was met. */
export function unmet(expectation: CheckedExpectation, best: NextTokenResult): string | null {
  const { wanted, unwanted, probability, text } = expectation;
  const isMet =
    (wanted === null || wanted.has(best.token_id)) &&
    !unwanted.has(best.token_id) &&
    (probability === null || best.probability >= probability);
  if (isMet) return null;
  const found = `${JSON.stringify(best.text)} (p=${best.probability.toFixed(3)})`;
  return `after the intervention the most likely next token is ${found}; expected ${text}`;
}
