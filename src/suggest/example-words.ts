/**
 * Suggest, step 3: the word that examples of a box's features have in common. Features that together stand for Texas are each about
 * more than that, so that no label of one says it; but the texts around their peaks all speak of Texas.
 */
import type { Example } from './known.ts';
import { isSpecialToken, wordsWithin } from './words.ts';

/** Tokens before and after the peak in which a word counts: about a sentence. */
const NEAR = 10;

export interface ExampleWords {
  /** Of each feature: by word, the share of its examples' activation in texts that have it. */
  readonly shares: readonly ReadonlyMap<string, number>[];
  /** Share of all different texts that have the word, 0 to 1. */
  readonly frequency: (word: string) => number;
}

/** @param examples of each feature; none where they are not known */
export function exampleWords(examples: readonly (readonly Example[])[]): ExampleWords {
  const texts = examples.map(differentTexts);
  const all = new Map(texts.flat().map(({ text, words }) => [text, words]));
  const counts = new Map<string, number>();
  for (const words of all.values()) for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return {
    shares: texts.map(sharesOf),
    // One more, so that of a few texts none is taken for all there are.
    frequency: (word) => (1 + (counts.get(word) ?? 0)) / (1 + all.size),
  };
}

interface Text {
  readonly text: string;
  readonly words: ReadonlySet<string>;
  readonly activation: number;
}

/** A page may show an example twice: among the strongest, and in a part of the histogram. */
function differentTexts(examples: readonly Example[]): Text[] {
  return [...new Map(examples.map(textNear).map((text) => [text.text, text])).values()];
}

function textNear({ tokens, activations, peak }: Example): Text {
  const shown = tokens.map((token) => (isSpecialToken(token) ? ' ' : token));
  const lengthOf = (first: number): number => shown.slice(0, first).join('').length;
  const [from, to] = [lengthOf(Math.max(0, peak - NEAR)), lengthOf(peak + NEAR + 1)];
  const whole = shown.join('');
  return {
    text: whole.slice(from, to),
    words: wordsWithin(whole, from, to),
    activation: activations[peak] ?? 0,
  };
}

function sharesOf(texts: readonly Text[]): Map<string, number> {
  const total = texts.reduce((sum, { activation }) => sum + activation, 0);
  const shares = new Map<string, number>();
  if (total === 0) return shares;
  for (const { words, activation } of texts)
    for (const word of words) shares.set(word, (shares.get(word) ?? 0) + activation / total);
  return shares;
}
