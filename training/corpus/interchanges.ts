/** Corpus: batches for interchange training, drawn at random. */
import type { Interchange, Wordings } from '../../src/training/interchange.ts';
import type { Random } from '../../src/training/random.ts';
import type { Prepared } from './prepare.ts';
import { groups, KEPT_ASIDE_WORDINGS, question, wordings, type Wording } from './questions.ts';

const PROMPTS = 56;
const LARGEST_GROUP = 4;
/** Share of batches that exchange the mean over a group; the others exchange the features of one subject. */
const MEAN_SHARE = 0.5;
/** Share of batches whose features come from another wording about the same subjects. */
const DONOR_SHARE = 0.5;
/** Draws of a relation. */
const WEIGHTS: Readonly<Record<string, number>> = {
  two_hop: 4,
  city_state: 2,
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
  /** Subjects of one token, by answer. */
  readonly groups: readonly (readonly Member[])[];
}

/** A source of interchange batches. */
export function interchangeSource(prepared: Prepared, random: Random): () => Interchange {
  const usable = wordings(prepared.facts).filter(({ template }) => !KEPT_ASIDE_WORDINGS.includes(template));
  const choices = new Map<string, Choice[]>();
  for (const wording of usable) {
    const known = choices.get(wording.relation) ?? [];
    choices.set(wording.relation, [...known, choiceOf(prepared, wording)]);
  }
  const relations = [...choices.keys()];
  const total = relations.reduce((sum, relation) => sum + WEIGHTS[relation]!, 0);
  return () => {
    let place = random.next() * total;
    const relation = relations.find((name) => (place -= WEIGHTS[name]!) < 0) ?? relations[0]!;
    const choice = random.pick(choices.get(relation)!);
    const others = usable.filter((other) => isAboutTheSame(other, choice.wording));
    const donor = random.next() < DONOR_SHARE ? random.pick(others) : null;
    return draw(prepared, choice, donor, random);
  };
}

/** Whether two wordings have the same kind of subject: cities of states are others than cities of countries. */
function isAboutTheSame(one: Wording, other: Wording): boolean {
  const ofCountry = ({ relation }: Wording): boolean => relation.startsWith('country');
  return one.subject === other.subject && ofCountry(one) === ofCountry(other);
}

function choiceOf({ facts, tokenizer, placeOf }: Prepared, wording: Wording): Choice {
  const members = groups(facts, wording).map(({ fields, subjects }): Member[] => {
    const answer = fields[wording.answer];
    if (typeof answer !== 'string') return [];
    const answerToken = placeOf.get(tokenizer.encode(` ${answer}`)[0]!)!;
    return subjects
      .filter((subject) => tokenizer.encode(` ${subject}`).length === 1)
      .map((subject) => ({ subject, answer: answerToken }));
  });
  return { wording, groups: members.filter((group) => group.length > 0) };
}

function draw(
  prepared: Prepared,
  { wording, groups: all }: Choice,
  donor: Wording | null,
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
  const sources = new Float32Array(n * n);
  const answers = new Int32Array(n);
  const isMean = random.next() < MEAN_SHARE;
  for (const [g, group] of chosen.entries()) {
    const other = (g + 1) % chosen.length;
    const size = chosen[other]!.length;
    for (let member = 0; member < group.length; member++) {
      const row = starts[g]! + member;
      answers[row] = chosen[other]![0]!.answer;
      const from = row * n + starts[other]!;
      if (isMean) sources.fill(1 / size, from, from + size);
      else sources[from + random.below(size)] = 1;
    }
  }
  const subjects = chosen.flat().map(({ subject }) => subject);
  const donors = donor && asked(prepared, donor, subjects);
  return { ...asked(prepared, wording, subjects), donors, sources, answers };
}

/** The questions of a wording about subjects of one token, as places in the trained vocabulary. */
function asked({ tokenizer, placeOf }: Prepared, wording: Wording, subjects: readonly string[]): Wordings {
  const ids = subjects.map((subject) => tokenizer.modelInput(question(wording, subject)));
  const position = ids[0]!.indexOf(tokenizer.encode(` ${subjects[0]!}`)[0]!);
  return { prompts: ids.map((prompt) => prompt.map((id) => placeOf.get(id)!)), position };
}
