/** Descriptions of tokens at their positions, from the facts: the rules of labels choose from them. */
import type { Facts } from './corpus/facts.ts';

/** What a sentence is about, when it has named no place yet. */
const TOPICS = [
  'capital',
  'city',
  'colour',
  'continent',
  'country',
  'language',
  'opposite',
  'plural',
  'plus',
  'region',
  'state',
];
const BOS = '<bos>';
const SENTENCE_ENDS = ['.', '!', '?', BOS];

/** Descriptions of a token at its position, the most specific first. */
export type Describe = (row: number, position: number) => readonly string[];

/** Makes the descriptions of the tokens of rows. */
export function describer(facts: Facts, rows: readonly (readonly string[])[]): Describe {
  const kinds = new Map<string, string[]>();
  const places = new Map<string, string>();
  const add = (name: string, place: string | null, ...descriptions: string[]): void => {
    // A name of two words is known by its last.
    const word = name.split(' ').at(-1)!;
    kinds.set(word, [...(kinds.get(word) ?? []), ...descriptions]);
    if (place !== null) places.set(word, places.has(word) && places.get(word) !== place ? AMBIGUOUS : place);
  };
  for (const { name, capital, cities } of facts.states) {
    for (const city of [...cities, capital]) add(city, name, `cities of ${name}`, `${name} and its cities`);
    add(name, name, `${name} and its cities`);
    for (const city of cities) add(city, null, 'cities of the United States');
    add(capital, null, 'capitals of states');
    add(name, null, 'states');
  }
  for (const { name, capital, city, language, continent } of facts.countries) {
    add(name, name, `places in ${continent}`, 'countries');
    add(capital, name, `cities of ${name}`, `places in ${continent}`, 'capitals of countries');
    if (city) add(city, name, `cities of ${name}`, `places in ${continent}`, 'cities of countries');
    if (language) add(language, null, 'languages');
  }
  for (const [one, many] of facts.plurals) {
    add(one, null, 'things');
    add(many, null, 'plurals');
  }
  for (const [word, opposite] of facts.opposites)
    for (const w of [word, opposite]) add(w, null, 'words with an opposite');
  for (const { name } of facts.animals) add(name, null, 'animals');
  for (const person of facts.lexicon.person!) add(person, null, 'persons');
  for (const [sequence, words] of Object.entries(facts.sequences))
    for (const word of words) add(word, null, sequence);
  for (const word of facts.number_words) add(word, null, 'numbers');
  return (row, position) => {
    const tokens = rows[row]!;
    const token = tokens[position]!;
    const word = token.trim();
    const next = tokens[position + 1];
    const place = latestPlace(tokens, position, places);
    const before = tokens[position - 1];
    const kindsOf = (other: string | undefined): readonly string[] =>
      (other && kinds.get(other.trim())) || [];
    return [
      `the word "${word}"`,
      ...(next === undefined ? [] : [`what comes before "${next.trim()}"`]),
      ...(before === undefined
        ? []
        : [before === BOS ? 'first words' : `what comes after "${before.trim()}"`]),
      ...(kinds.get(word) ?? (/^\d$/.test(word) ? ['digits'] : [])),
      ...(place === null ? [] : [`sentences about ${place}`]),
      ...kindsOf(next).map((kind) => `what comes before ${kind}`),
      ...kindsOf(before).map((kind) => `what comes after ${kind}`),
      ...topicsBefore(tokens, position).map((topic) => `sentences with "${topic}"`),
    ];
  };
}

/** Topics that the sentence has named so far. */
function topicsBefore(tokens: readonly string[], position: number): string[] {
  const topics: string[] = [];
  for (let i = position; i >= 0 && (i === position || !SENTENCE_ENDS.includes(tokens[i]!)); i--) {
    const word = tokens[i]!.trim();
    if (TOPICS.includes(word)) topics.push(word);
  }
  return topics;
}

const AMBIGUOUS = '';

/** The state or country that was named, itself or by a city, most recently. */
function latestPlace(
  tokens: readonly string[],
  position: number,
  places: ReadonlyMap<string, string>,
): string | null {
  for (let i = position; i >= 0; i--) {
    const place = places.get(tokens[i]!.trim());
    if (place !== undefined) return place === AMBIGUOUS ? null : place;
  }
  return null;
}

/** 0 is the most specific. */
export function rank(description: string): number {
  if (description.startsWith('the word')) return 0;
  if (description.startsWith('cities of ')) return 1;
  if (description.endsWith(' and its cities')) return 2;
  if (description.startsWith('what comes before "')) return 3;
  if (description.startsWith('what comes after "')) return 4;
  if (description.startsWith('sentences about')) return 5;
  return description.startsWith('sentences with') ? 7 : 6;
}
