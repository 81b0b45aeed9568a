/** Corpus: batches for interchange training, drawn at random. */
import type { Interchange } from '../../src/training/interchange.ts';
import type { Random } from '../../src/training/random.ts';
import type { Prepared } from './prepare.ts';
import { groups, KEPT_ASIDE_WORDINGS, question, wordings, type Wording } from './questions.ts';

const PROMPTS = 56;
const LARGEST_GROUP = 4;
/** Share of batches that exchange the mean over a group; the others exchange the features of one subject. */
const MEAN_SHARE = 0.5;
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
  readonly prompt: readonly number[];
  readonly answer: number;
}

interface Choice {
  readonly wording: Wording;
  readonly position: number;
  /** Groups of prompts of one length. */
  readonly groups: readonly (readonly Member[])[];
}

/** A source of interchange batches. */
export function interchangeSource(prepared: Prepared, random: Random): () => Interchange {
  const choices = new Map<string, Choice[]>();
  for (const wording of wordings(prepared.facts)) {
    if (KEPT_ASIDE_WORDINGS.includes(wording.template)) continue;
    const choice = choiceOf(prepared, wording);
    choices.set(wording.relation, [...(choices.get(wording.relation) ?? []), choice]);
  }
  const relations = [...choices.keys()];
  const total = relations.reduce((sum, relation) => sum + WEIGHTS[relation]!, 0);
  return () => {
    let place = random.next() * total;
    const relation = relations.find((name) => (place -= WEIGHTS[name]!) < 0) ?? relations[0]!;
    return draw(random.pick(choices.get(relation)!), random);
  };
}

/** Prompts whose subject is one token, as places in the trained vocabulary. */
function choiceOf({ facts, tokenizer, placeOf }: Prepared, wording: Wording): Choice {
  let position = 0;
  const members = groups(facts, wording).map(({ fields, subjects }): Member[] => {
    const answer = fields[wording.answer];
    if (typeof answer !== 'string') return [];
    const answerToken = placeOf.get(tokenizer.encode(` ${answer}`)[0]!)!;
    return subjects.flatMap((subject) => {
      const ids = tokenizer.encode(` ${subject}`);
      if (ids.length !== 1) return [];
      const prompt = tokenizer.modelInput(question(wording, subject));
      position = prompt.indexOf(ids[0]!);
      return [{ prompt: prompt.map((id) => placeOf.get(id)!), answer: answerToken }];
    });
  });
  return { wording, position, groups: members.filter((group) => group.length > 0) };
}

function draw({ position, groups: all }: Choice, random: Random): Interchange {
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
  return { prompts: chosen.flat().map(({ prompt }) => prompt), position, sources, answers };
}
