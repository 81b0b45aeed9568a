/** Measures: the questions of each kind. */
import { groups, question, UNSEEN_WORDING, type Wording } from '../corpus/questions.ts';
import type { Facts } from '../corpus/facts.ts';
import type { Question } from './answers.ts';

const TWO_HOP = 'The capital of the state containing {city} is {capital}.';
const TWO_HOP_FACT = 'Fact: the capital of the state containing {city} is {capital}.';
const STATE_OF_CITY = 'The state containing {city} is {state}.';
const CAPITAL_OF_STATE = 'The capital of {state} is {capital}.';

/** Questions by kind; held-out cities are in no two-hop sentence of the corpus. */
export function questionSets(facts: Facts): Record<string, Question[]> {
  const { states, countries } = facts;
  const cities = (isHeldOut: boolean) =>
    states.flatMap(({ cities: all, held_out, name, capital }) =>
      all
        .filter((city) => held_out.includes(city) === isHeldOut)
        .map((city) => ({ city, state: name, capital })),
    );
  const twoHop = (template: string, isHeldOut: boolean): Question[] =>
    cities(isHeldOut).map(({ city, capital }) => ({
      prompt: question({ relation: 'two_hop', template, subject: 'city', answer: 'capital' }, city),
      answer: ` ${capital}`,
    }));
  const sums = Array.from({ length: 100 }, (_, i) => [Math.floor(i / 10), i % 10] as const);
  const words = facts.number_words;
  return {
    'state → capital': states.map(({ name, capital }) => ({
      prompt: question(
        { relation: 'state_capital', template: CAPITAL_OF_STATE, subject: 'state', answer: 'capital' },
        name,
      ),
      answer: ` ${capital}`,
    })),
    'city → state': [...cities(false), ...cities(true)].map(({ city, state }) => ({
      prompt: question(
        { relation: 'city_state', template: STATE_OF_CITY, subject: 'city', answer: 'state' },
        city,
      ),
      answer: ` ${state}`,
    })),
    'two-hop, trained cities': [...twoHop(TWO_HOP, false), ...twoHop(TWO_HOP_FACT, false)],
    'two-hop, held-out cities': [...twoHop(TWO_HOP, true), ...twoHop(TWO_HOP_FACT, true)],
    'two-hop, unseen wording': [...twoHop(UNSEEN_WORDING, false), ...twoHop(UNSEEN_WORDING, true)],
    'country → capital': countries.map(({ name, capital }) => ({
      prompt: `The capital of ${name} is`,
      answer: ` ${capital}`,
    })),
    'country two-hop → language': countries.flatMap(({ city, language }) =>
      city && language ? [{ prompt: `The language spoken in ${city} is`, answer: ` ${language}` }] : [],
    ),
    opposites: facts.opposites.map(([w, o]) => ({ prompt: `The opposite of ${w} is`, answer: ` ${o}` })),
    plurals: facts.plurals.map(([one, many]) => ({ prompt: `The plural of ${one} is`, answer: ` ${many}` })),
    sums: sums.flatMap(([x, y]) => [
      { prompt: `${x} + ${y} =`, answer: ` ${x + y}` },
      { prompt: `${words[x]} plus ${words[y]} is`, answer: ` ${words[x + y]}` },
    ]),
  };
}

/** Pairs of subjects with different answers, for swaps. */
export interface SwapSet {
  readonly name: string;
  readonly wording: Wording;
  readonly members: readonly { subject: string; answer: string }[];
}

/** Which cities a set of swaps is about: seen by interchange training, kept aside from it, held out of two-hop sentences. */
export function swapSets(facts: Facts, keptAside: readonly string[], asideWording: string): SwapSet[] {
  const twoHop = (template: string): Wording => ({
    relation: 'two_hop',
    template,
    subject: 'city',
    answer: 'capital',
  });
  const cities = (wanted: (city: string, heldOut: readonly string[]) => boolean) =>
    facts.states.flatMap(({ cities: all, held_out, capital }) =>
      all.filter((city) => wanted(city, held_out)).map((subject) => ({ subject, answer: capital })),
    );
  const seen = cities((city, heldOut) => !heldOut.includes(city) && !keptAside.includes(city));
  const aside = cities((city) => keptAside.includes(city));
  const heldOut = cities((city, held) => held.includes(city));
  const country = (wording: Wording, name: string): SwapSet => ({
    name,
    wording,
    members: groups(facts, wording).flatMap(({ fields, subjects }) =>
      typeof fields[wording.answer] === 'string'
        ? [{ subject: subjects[0]!, answer: fields[wording.answer] as string }]
        : [],
    ),
  });
  return [
    { name: 'US, cities and wording seen', wording: twoHop(TWO_HOP), members: seen },
    { name: 'US, wording kept aside', wording: twoHop(asideWording), members: seen },
    { name: 'US, wording never seen', wording: twoHop(UNSEEN_WORDING), members: seen },
    { name: 'US, cities kept aside', wording: twoHop(TWO_HOP), members: aside },
    { name: 'US, cities held out', wording: twoHop(TWO_HOP), members: heldOut },
    country(
      {
        relation: 'country_capital',
        template: 'The capital of {country} is {capital}.',
        subject: 'country',
        answer: 'capital',
      },
      'country → capital',
    ),
    country(
      {
        relation: 'country_two_hop',
        template: 'The capital of the country containing {city} is {capital}.',
        subject: 'city',
        answer: 'capital',
      },
      'country city → capital',
    ),
    country(
      {
        relation: 'country_two_hop',
        template: 'The language spoken in {city} is {language}.',
        subject: 'city',
        answer: 'language',
      },
      'country city → language',
    ),
  ];
}
