/** Suggest, step 3: the words that examples of a box's features share, which are added to names that leave open what they are about. */
import type { ExampleWords } from './example-words.ts';
import { shortened, wordsWithin } from './words.ts';

const MOST_WORDS = 2;
/** The second one tells nearly as much as the first. */
const NEARLY = 0.8;
/** Of the activation in the examples of a box, so much is in texts with the word; of a single feature, which no other one confirms, more. */
const COVERED = 0.2;
const COVERED_ALONE = 0.5;
/** The word is so many times as frequent there as in all examples of the circuit. */
const MORE_OFTEN = 4;
/** A feature has the word if so much of its activation is in texts with it; features with half of the influence do. */
const HAS = 0.1;
const AGREED = 0.5;

export interface SharedWord {
  readonly word: string;
  /** How much it tells: its share of the activation times ln of how much more often it is there. */
  readonly told: number;
}

export interface WeightedFeature {
  readonly influence: number;
  readonly shares: ReadonlyMap<string, number>;
}

/**
 * The words that enough features have, those that tell most first.
 * @param known words that tell nothing new, those of the prompt and of the answer
 */
export function sharedWords(
  features: readonly WeightedFeature[],
  frequency: ExampleWords['frequency'],
  known: ReadonlySet<string>,
): SharedWord[] {
  const total = features.reduce((sum, { influence }) => sum + influence, 0);
  const found: SharedWord[] = [];
  for (const word of new Set(features.flatMap(({ shares }) => [...shares.keys()]))) {
    if (known.has(word)) continue;
    const having = features.filter(({ shares }) => (shares.get(word) ?? 0) >= HAS);
    const held = having.reduce((sum, { influence }) => sum + influence, 0);
    const inTexts = features.reduce(
      (sum, { influence, shares }) => sum + influence * (shares.get(word) ?? 0),
      0,
    );
    const covered = inTexts / total;
    const moreOften = covered / frequency(word);
    const least = having.length > 1 ? COVERED : COVERED_ALONE;
    if (held < AGREED * total || covered < least || moreOften < MORE_OFTEN) continue;
    found.push({ word, told: covered * Math.log(moreOften) });
  }
  found.sort((a, b) => b.told - a.told || (a.word < b.word ? -1 : 1));
  return found.filter(({ told }) => told >= NEARLY * found[0]!.told).slice(0, MOST_WORDS);
}

interface Named {
  readonly name: string;
  readonly shared: readonly SharedWord[];
}

/**
 * `Illinois, Naperville (cities of the United States)`. Words tell boxes apart, so each is given to the box that it tells most
 * about, and to none where a name has it already. A box that does not get its first word gets no second one, which is not what it
 * is about.
 */
export function withSharedWords(boxes: readonly Named[]): string[] {
  const used = new Set(boxes.flatMap(({ name }) => [...wordsWithin(name)]));
  const given: string[][] = boxes.map(() => []);
  const all = boxes.flatMap(({ shared }, box) => shared.map((word, place) => ({ ...word, box, place })));
  for (const { word, box, place } of all.sort((a, b) => b.told - a.told || a.box - b.box)) {
    if (used.has(word) || given[box]!.length < place) continue;
    given[box]!.push(word);
    used.add(word);
  }
  return boxes.map(({ name }, i) =>
    given[i]!.length === 0 ? name : shortened(`${given[i]!.join(', ')} (${name})`),
  );
}
