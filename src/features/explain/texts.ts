/** Features, labels by a language model, step 1: stretches of text around the activations of a feature. */
import type { FeatureExample } from '../../transcoder/feature-page.ts';

/** Tokens before and behind the one that an example is about. */
const BEFORE = 24;
const BEHIND = 8;
/** A stretch without the feature is worth showing from so many tokens on. */
const SHORTEST_QUIET = 8;
/** Tokens whose activation is at least this share of the largest in their text are marked. */
const MARKED_SHARE = 0.3;
/** Of a tokenizer: no part of the text. */
const SPECIAL_TOKEN = /^<(?:bos|eos|pad|s|\/s|\|[\w.]+\|)>$/;

export interface ExampleText {
  readonly tokens: readonly string[];
  /** Activation at each token. */
  readonly activations: readonly number[];
}

/** The part of an example around its token. */
export function aroundPeak({ tokens, tokens_acts_list, train_token_ind }: FeatureExample): ExampleText {
  const start = Math.max(0, train_token_ind - BEFORE);
  const stop = Math.min(tokens.length, train_token_ind + BEHIND + 1);
  return withoutSpecial({
    tokens: tokens.slice(start, stop),
    activations: Array.from({ length: stop - start }, (_, i) => tokens_acts_list[start + i] ?? 0),
  });
}

/** The longest stretch of an example in which the feature is nowhere active; null where none is long enough. */
export function quietPart({ tokens, tokens_acts_list }: FeatureExample): ExampleText | null {
  let best = { start: 0, stop: 0 };
  let start = 0;
  for (let i = 0; i <= tokens.length; i++) {
    if (i < tokens.length && !(tokens_acts_list[i]! > 0)) continue;
    if (i - start > best.stop - best.start) best = { start, stop: i };
    start = i + 1;
  }
  const stop = Math.min(best.stop, best.start + BEFORE + BEHIND + 1);
  const part = tokens.slice(best.start, stop);
  const text = withoutSpecial({ tokens: part, activations: part.map(() => 0) });
  return text.tokens.length < SHORTEST_QUIET ? null : text;
}

export function peakOf({ activations }: ExampleText): number {
  return activations.reduce((largest, value) => Math.max(largest, value), 0);
}

/** Tokens at which the feature is active, without spaces around them. */
export function activeTokens(texts: readonly ExampleText[]): Set<string> {
  return new Set(
    texts.flatMap(({ tokens, activations }) =>
      tokens.filter((_, i) => activations[i]! > 0).map((token) => token.trim()),
    ),
  );
}

export function plainText({ tokens }: ExampleText): string {
  return tokens.join('');
}

/** With each run of active tokens between `<<` and `>>`. */
export function markedText(text: ExampleText): string {
  const least = MARKED_SHARE * peakOf(text);
  const isMarked = (i: number): boolean => (text.activations[i] ?? 0) > 0 && text.activations[i]! >= least;
  return text.tokens
    .map((token, i) => {
      const [, space, rest] = /^(\s*)(.*)$/s.exec(token)!;
      const open = isMarked(i) && !isMarked(i - 1) ? `${space}<<${rest}` : token;
      return isMarked(i) && !isMarked(i + 1) ? `${open}>>` : open;
    })
    .join('');
}

function withoutSpecial({ tokens, activations }: ExampleText): ExampleText {
  const kept = tokens.map((_, i) => i).filter((i) => !SPECIAL_TOKEN.test(tokens[i]!));
  return { tokens: kept.map((i) => tokens[i]!), activations: kept.map((i) => activations[i]!) };
}
