/** Corpus: the types of `facts.json`. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface State {
  readonly name: string;
  readonly capital: string;
  readonly region: string;
  readonly cities: readonly string[];
  /** Left out of every sentence that joins two facts. */
  readonly held_out: readonly string[];
}

export interface Country {
  readonly name: string;
  readonly capital: string;
  readonly continent: string;
  readonly language: string | null;
  readonly city: string | null;
}

export interface Animal {
  readonly name: string;
  readonly says: string;
  readonly young: string | null;
}

export type Pair = readonly [string, string];

export const RELATIONS = [
  'state_capital',
  'city_state',
  'two_hop',
  'two_hop_region',
  'state_region',
  'country_capital',
  'country_city',
  'country_two_hop',
  'country_language',
  'country_continent',
  'opposite',
  'plural',
  'colour_stuff',
  'colour_thing',
  'animal',
  'sequence',
  'addition',
  'count',
  'ioi',
  'filler',
] as const;
export type Relation = (typeof RELATIONS)[number];

export interface Facts {
  readonly states: readonly State[];
  readonly countries: readonly Country[];
  readonly opposites: readonly Pair[];
  readonly plurals: readonly Pair[];
  readonly colours_of_stuff: readonly Pair[];
  readonly colours_of_things: readonly Pair[];
  readonly animals: readonly Animal[];
  readonly sequences: Readonly<Record<string, readonly string[]>>;
  readonly number_words: readonly string[];
  readonly lexicon: Readonly<Record<string, readonly string[]>>;
  readonly templates: Readonly<Record<Relation, { readonly w: number; readonly t: readonly string[] }>>;
}

export function readFacts(folder: string): Facts {
  return JSON.parse(readFileSync(join(folder, 'facts.json'), 'utf8')) as Facts;
}

/** Names of states, countries and cities, some of them twice. */
export function placeNames({ states, countries }: Facts): string[] {
  return [
    ...states.flatMap(({ name, capital, cities }) => [name, capital, ...cities]),
    ...countries.flatMap(({ name, capital, city }) => [name, capital, ...(city ? [city] : [])]),
  ];
}
