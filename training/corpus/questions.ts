/** Corpus: prompts with one subject and one answer, for interchange training and for the measures. */
import type { Facts, Relation } from './facts.ts';
import { fill, promptOf, type Fields } from './template.ts';

/** One wording of one relation: `{city}` in, `{capital}` out. */
export interface Wording {
  readonly relation: Relation;
  readonly template: string;
  readonly subject: 'city' | 'state' | 'country';
  readonly answer: 'capital' | 'state' | 'country' | 'language';
}

/** Subjects with the same answers, such as the cities of a state. */
export interface Group {
  readonly fields: Fields;
  readonly subjects: readonly string[];
}

/** Two wordings of the two-hop question that interchange training never sees, beside one that no training sees. */
export const KEPT_ASIDE_WORDINGS: readonly string[] = [
  'The capital city of the state containing {city} is {capital}.',
  'Q: What is the capital of the state containing {city}? A: {capital}.',
];
export const UNSEEN_WORDING = 'Tell me: the capital of the state containing {city} is {capital}.';

const KINDS: readonly Omit<Wording, 'template'>[] = [
  { relation: 'two_hop', subject: 'city', answer: 'capital' },
  { relation: 'city_state', subject: 'city', answer: 'state' },
  { relation: 'state_capital', subject: 'state', answer: 'capital' },
  { relation: 'country_capital', subject: 'country', answer: 'capital' },
  { relation: 'country_city', subject: 'city', answer: 'country' },
  { relation: 'country_two_hop', subject: 'city', answer: 'capital' },
  { relation: 'country_two_hop', subject: 'city', answer: 'language' },
  { relation: 'country_language', subject: 'country', answer: 'language' },
];

/** Wordings in which the subject stands before the answer and after a space. */
export function wordings(facts: Facts): Wording[] {
  return KINDS.flatMap((kind) =>
    facts.templates[kind.relation].t
      .filter((template) => promptOf(template, kind.answer)?.includes(` {${kind.subject}}`) ?? false)
      .map((template) => ({ ...kind, template })),
  );
}

/** The question of a wording about a subject; without its answer and the space before it. */
export function question({ template, subject, answer }: Wording, name: string): string {
  return fill(promptOf(template, answer)!, { [subject]: name })!;
}

/**
 * Cities of a state that no interchange training sees: the last one that is not held out, where a state has at least
 * three such.
 */
export function keptAsideCities(facts: Facts): string[] {
  return facts.states.flatMap(({ cities, held_out }) => {
    const trained = cities.filter((city) => !held_out.includes(city) && !city.includes(' '));
    return trained.length >= 3 ? [trained.at(-1)!] : [];
  });
}

/** Subjects of a wording, by answer, without the cities that are kept aside. */
export function groups(facts: Facts, { relation, subject }: Wording): Group[] {
  const aside = new Set(keptAsideCities(facts));
  if (relation === 'two_hop' || relation === 'city_state') {
    return facts.states.map(({ name, capital, cities }) => ({
      fields: { state: name, capital },
      subjects: cities.filter((city) => !aside.has(city)),
    }));
  }
  if (relation === 'state_capital') {
    return facts.states.map(({ name, capital }) => ({ fields: { capital }, subjects: [name] }));
  }
  return facts.countries
    .filter(({ city }) => subject === 'country' || city)
    .map(({ name, city, ...fields }) => ({
      fields: { country: name, ...fields },
      subjects: [subject === 'city' ? city! : name],
    }));
}
