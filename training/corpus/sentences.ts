/** Corpus: every sentence that the facts and templates give, by relation. */
import type { Random } from '../../src/random.ts';
import { RELATIONS, type Facts, type Relation } from './facts.ts';
import { fill, type Fields } from './template.ts';

/** Sentences of these relations are drawn at random, up to so many a template: there are more fillings than are wanted. */
const DRAWN: readonly Relation[] = ['ioi', 'filler'];
const DRAWN_A_TEMPLATE = 300;
const DIGITS = 10;
const LAST_COUNTED = 99;
/** Sequences that begin again after the last word: Monday follows Sunday. */
const CYCLES = ['days', 'months', 'seasons'];

export interface Sentence {
  readonly text: string;
  readonly template: string;
  readonly fields: Fields;
  /** The fact that the sentence states; for sentences drawn at random, their template. */
  readonly source: string;
}

export type Corpus = Readonly<Record<Relation, readonly Sentence[]>>;

/** All sentences, without repeats; the same for the same seed. */
export function allSentences(facts: Facts, random: Random): Corpus {
  const corpus = {} as Record<Relation, Sentence[]>;
  for (const relation of RELATIONS) {
    const sentences = new Map<string, Sentence>();
    const isDrawn = DRAWN.includes(relation);
    for (const template of facts.templates[relation].t) {
      for (const [fact, fields] of fieldsOf(facts, relation, template, random).entries()) {
        const text = fill(template, fields);
        const source = isDrawn ? template : String(fact);
        if (text !== null && !sentences.has(text)) sentences.set(text, { text, template, fields, source });
      }
    }
    corpus[relation] = [...sentences.values()];
  }
  return corpus;
}

function fieldsOf(facts: Facts, relation: Relation, template: string, random: Random): readonly Fields[] {
  const { states, countries } = facts;
  switch (relation) {
    case 'state_capital':
    case 'state_region':
      return states.map(({ name, capital, region }) => ({ state: name, capital, region }));
    case 'city_state':
    case 'two_hop':
    case 'two_hop_region':
      return states.flatMap(({ name, capital, region, cities }) =>
        cities.map((city) => ({ city, state: name, capital, region })),
      );
    case 'country_capital':
    case 'country_city':
    case 'country_two_hop':
    case 'country_language':
    case 'country_continent':
      return countries.map(({ name, ...rest }) => ({ country: name, ...rest }));
    case 'opposite':
      return facts.opposites.map(([w, o]) => ({ w, o }));
    case 'plural':
      return facts.plurals.map(([one, many]) => ({ one, many }));
    case 'colour_stuff':
      return facts.colours_of_stuff.map(([thing, colour]) => ({ thing, colour }));
    case 'colour_thing':
      return facts.colours_of_things.map(([thing, colour]) => ({ thing, colour }));
    case 'animal':
      return facts.animals.map(({ name, says, young }) => ({ name, says, young }));
    case 'sequence':
      return Object.entries(facts.sequences).flatMap(([name, words]) => runs(words, CYCLES.includes(name)));
    case 'addition':
      return sums(facts.number_words);
    case 'count':
      return Array.from({ length: LAST_COUNTED - 3 }, (_, n) =>
        Object.fromEntries([0, 1, 2, 3, 4].map((i) => [`n${i}`, n + i])),
      ).filter((fields) => fields.n4! <= LAST_COUNTED || !template.includes('n4'));
    case 'ioi':
    case 'filler':
      return drawn(facts.lexicon, template, random);
  }
}

/** Every stretch of a sequence, as a, b, c, d; short ends lack the later fields. */
function runs(words: readonly string[], isCycle: boolean): Fields[] {
  return words.map((_, start) =>
    Object.fromEntries(
      ['a', 'b', 'c', 'd'].map((name, i) => [
        name,
        isCycle ? words[(start + i) % words.length] : words[start + i],
      ]),
    ),
  );
}

function sums(words: readonly string[]): Fields[] {
  const fields: Fields[] = [];
  for (let x = 0; x < DIGITS; x++) {
    for (let y = 0; y < DIGITS; y++) {
      fields.push({ x: words[x], y: words[y], z: words[x + y], dx: x, dy: y, dz: x + y });
    }
  }
  return fields;
}

/** Fields drawn from the word lists; p and q are two persons, food and food2 two foods. */
function drawn(lexicon: Facts['lexicon'], template: string, random: Random): Fields[] {
  return Array.from({ length: DRAWN_A_TEMPLATE }, () => {
    const fields: Record<string, string> = {};
    for (const [name, words] of Object.entries(lexicon))
      if (template.includes(name)) fields[name] = random.pick(words);
    const [p, q] = random.shuffled(lexicon.person!);
    const [food, food2] = random.shuffled(lexicon.food!);
    return { ...fields, p: p!, q: q!, food: food!, food2: food2! };
  });
}
