/** Corpus: batches for interchange training, drawn at random. */
import type { Interchange, Questions, Wordings } from '../../src/training/interchange.ts';
import type { Random } from '../../src/random.ts';
import { placeNames } from './facts.ts';
import type { Prepared } from './prepare.ts';
import {
  groups as subjectGroups,
  KEPT_ASIDE_WORDINGS,
  keptAsideCities,
  question,
  wordings,
  type Wording,
} from './questions.ts';

const PROMPTS = 72;
const LARGEST_GROUP = 4;
/**
 * What is exchanged, with its share of the batches: features of one subject, or their mean over a group. `all`: all of them.
 * `shared alone`: only those that the group shares, so that the answer has to come from them and every subject has to have
 * them. `shared instead`: those in exchange for what the other group shares, so that the answer does not depend on the
 * subject's other features. A city that a question was never asked about has such features: those that its state's cities
 * share, and some of its own.
 */
const EXCHANGES = [
  { values: 'one', exchanged: 'all', share: 0.25 },
  { values: 'mean', exchanged: 'all', share: 0.05 },
  { values: 'mean', exchanged: 'shared alone', share: 0.15 },
  { values: 'one', exchanged: 'shared alone', share: 0.25 },
  { values: 'one', exchanged: 'shared instead', share: 0.3 },
] as const;
/** Share of batches in which all MLPs are replaced. */
const REPLACED_SHARE = 0.5;
/** Share of questions with the first word of the answer, where answers share it: `New` of `New York` and `New Mexico`. */
const CONTINUED_SHARE = 0.35;
/** Share of batches whose features come from another wording about the same subjects. */
const DONOR_SHARE = 0.5;
/** Of the batches in which a subject loses all features: the share whose prompts ask about names unrelated to the question. */
const UNRELATED_SHARE = 0.6;
/** Weights by which relations are drawn. */
const WEIGHTS: Readonly<Record<string, number>> = {
  two_hop: 4,
  city_state: 4,
  state_capital: 1,
  country_capital: 1.5,
  country_city: 0.7,
  country_two_hop: 1.5,
  country_language: 0.7,
};

interface Member {
  readonly subject: string;
  readonly answer: number;
}

interface Choice {
  readonly wording: Wording;
  /** What follows the question: nothing, or the word that the answers begin with. */
  readonly begun: string;
  /** Subjects of one token, by answer. */
  readonly groups: readonly (readonly Member[])[];
}

/** A question, and its continuations by a first word that several answers share. */
interface Question extends Choice {
  readonly continued: readonly Choice[];
}

/** A source of interchange batches. */
export function interchangeSource(prepared: Prepared, random: Random): () => Interchange {
  const usable = wordings(prepared.facts).filter(({ template }) => !KEPT_ASIDE_WORDINGS.includes(template));
  const choices = new Map<string, Question[]>();
  for (const wording of usable) {
    const known = choices.get(wording.relation) ?? [];
    choices.set(wording.relation, [...known, questionOf(prepared, wording)]);
  }
  const relations = [...choices.keys()];
  const unrelated = unrelatedNames(prepared);
  return () => {
    const relation = random.weighted(relations, (name) => WEIGHTS[name]!);
    const pick = random.pick(choices.get(relation)!);
    const continued = pick.continued.length > 0 && random.next() < CONTINUED_SHARE;
    const choice = continued ? random.pick(pick.continued) : pick;
    const others = usable.filter((other) => isAboutTheSame(other, choice.wording));
    const donor = random.next() < DONOR_SHARE ? random.pick(others) : null;
    const groups = donor ? askable(prepared, donor, choice.groups) : choice.groups;
    // Nothing can be exchanged within one group.
    return groups.length > 1
      ? draw(prepared, { ...choice, groups }, donor, unrelated, random)
      : draw(prepared, choice, null, unrelated, random);
  };
}

/**
 * Questions about all cities of some states, for the losses on faithfulness and on shared features: also about cities that are
 * kept aside from interchange, and one-hop questions about cities that are held out of two-hop sentences.
 */
export function questionSource(prepared: Prepared, random: Random): () => Questions {
  const { facts } = prepared;
  const all = wordings(facts);
  return () => {
    const relation = random.pick(['city_state', 'two_hop'] as const);
    const wording = random.pick(all.filter((one) => one.relation === relation));
    const chosen: string[][] = [];
    for (const { cities } of random.shuffled(facts.states)) {
      const usable = cities.filter(
        (city) => isOneToken(prepared, city) && mayBeAsked(prepared, wording, city),
      );
      if (chosen.flat().length + usable.length > PROMPTS) break;
      chosen.push(usable);
    }
    const subjects = chosen.flat();
    const n = subjects.length;
    const groups = new Float32Array(n * n);
    let start = 0;
    for (const { length } of chosen) {
      for (let row = start; row < start + length; row++)
        groups.fill(1 / length, row * n + start, row * n + start + length);
      start += length;
    }
    return { ...asked(prepared, wording, subjects), groups };
  };
}

/** Features are exchanged at one position. */
function isOneToken({ tokenizer }: Prepared, name: string): boolean {
  return tokenizer.encode(` ${name}`).length === 1;
}

/** Whether the question belongs to the part of the corpus that is trained. */
function mayBeAsked({ parts }: Prepared, wording: Wording, subject: string): boolean {
  return !parts.heldOutQuestions.has(question(wording, subject));
}

/** What is left of groups when their subjects are asked about in another wording. */
function askable(prepared: Prepared, wording: Wording, groups: Choice['groups']): Choice['groups'] {
  return groups
    .map((group) => group.filter(({ subject }) => mayBeAsked(prepared, wording, subject)))
    .filter((group) => group.length > 0);
}

/** Whether two wordings have the same kind of subject: cities of states and cities of countries are different kinds. */
function isAboutTheSame(one: Wording, other: Wording): boolean {
  const ofCountry = ({ relation }: Wording): boolean => relation.startsWith('country');
  return one.subject === other.subject && ofCountry(one) === ofCountry(other);
}

/**
 * Names of one token, of any kind, without cities that are kept aside or held out. A name's embedding is random, so a model that
 * learns to ignore the embeddings of these names ignores those of others too.
 */
function unrelatedNames(prepared: Prepared): string[] {
  const { facts } = prepared;
  const left = new Set([...keptAsideCities(facts), ...facts.states.flatMap(({ held_out }) => held_out)]);
  return [...new Set(placeNames(facts))].filter((name) => !left.has(name) && isOneToken(prepared, name));
}

function questionOf(prepared: Prepared, wording: Wording): Question {
  const { facts, tokenizer, placeOf } = prepared;
  const told = subjectGroups(facts, wording).flatMap(({ fields, subjects }) => {
    const answer = fields[wording.answer];
    const usable = subjects.filter(
      (subject) => isOneToken(prepared, subject) && mayBeAsked(prepared, wording, subject),
    );
    return typeof answer === 'string' && usable.length > 0 ? [{ words: answer.split(' '), usable }] : [];
  });
  const choice = (begun: string, n_words: number): Choice => ({
    wording,
    begun,
    groups: told
      .filter(({ words }) => n_words === 0 || (words.length > n_words && words[0] === begun))
      .map(({ words, usable }) => {
        const answer = placeOf.get(tokenizer.encode(` ${words[n_words]!}`)[0]!)!;
        return usable.map((subject) => ({ subject, answer }));
      }),
  });
  const begins = [...new Set(told.filter(({ words }) => words.length > 1).map(({ words }) => words[0]!))];
  const continued = begins.map((begun) => choice(begun, 1)).filter((one) => one.groups.length > 1);
  return { ...choice('', 0), continued };
}

function draw(
  prepared: Prepared,
  { wording, begun, groups: all }: Choice,
  donor: Wording | null,
  unrelated: readonly string[],
  random: Random,
): Interchange {
  const chosen: Member[][] = [];
  let n = 0;
  for (const group of random.shuffled(all)) {
    const members = random.shuffled(group).slice(0, LARGEST_GROUP);
    if (n + members.length > PROMPTS) break;
    chosen.push(members);
    n += members.length;
  }
  const starts = chosen.map((_, g) => chosen.slice(0, g).reduce((sum, { length }) => sum + length, 0));
  const matrix = (): Float32Array => new Float32Array(n * n);
  const [sources, groups] = [matrix(), matrix()];
  const answers = new Int32Array(n);
  const { values, exchanged } = random.weighted(EXCHANGES, ({ share }) => share);
  for (const [g, group] of chosen.entries()) {
    const other = (g + 1) % chosen.length;
    const size = chosen[other]!.length;
    for (let member = 0; member < group.length; member++) {
      const row = starts[g]! + member;
      answers[row] = chosen[other]![0]!.answer;
      const from = row * n + starts[other]!;
      if (values === 'mean') sources.fill(1 / size, from, from + size);
      else sources[from + random.below(size)] = 1;
      const mine = row * n + starts[g]!;
      groups.fill(1 / group.length, mine, mine + group.length);
    }
  }
  const subjects = chosen.flat().map(({ subject }) => subject);
  const isReplaced = random.next() < REPLACED_SHARE;
  const exchange = { sources, groups, exchanged, isReplaced, answers };
  if (exchanged !== 'shared instead' && random.next() < UNRELATED_SHARE) {
    const names = random
      .shuffled(unrelated.filter((name) => mayBeAsked(prepared, wording, name)))
      .slice(0, n);
    return {
      ...exchange,
      ...asked(prepared, wording, names, begun),
      donors: asked(prepared, donor ?? wording, subjects),
    };
  }
  const donors = donor && asked(prepared, donor, subjects);
  return { ...exchange, ...asked(prepared, wording, subjects, begun), donors };
}

/** The questions of a wording about subjects of one token, as places in the trained vocabulary. */
function asked(
  { tokenizer, placeOf }: Prepared,
  wording: Wording,
  subjects: readonly string[],
  begun = '',
): Wordings {
  const ids = subjects.map((subject) =>
    tokenizer.promptIds(`${question(wording, subject)}${begun && ` ${begun}`}`, 'always'),
  );
  const position = ids[0]!.indexOf(tokenizer.encode(` ${subjects[0]!}`)[0]!);
  return { prompts: ids.map((prompt) => prompt.map((id) => placeOf.get(id)!)), position };
}
