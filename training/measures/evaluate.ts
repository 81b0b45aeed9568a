/** Measures: all measures of the embedded model, from its files. */
import type { AttributeResult } from '../../src/engine/attribute/types.ts';
import { attributeIn } from '../../src/engine/attribute/attribute.ts';
import { openSession, type Session } from '../../src/engine/session.ts';
import { holdSubject } from '../../src/training/loaded.ts';
import { Random } from '../../src/random.ts';
import type { Facts } from '../corpus/facts.ts';
import { prepareWith, type Prepared } from '../corpus/prepare.ts';
import { KEPT_ASIDE_WORDINGS, keptAsideCities } from '../corpus/questions.ts';
import { RowStream } from '../corpus/stream.ts';
import { scoreAnswers, type Score } from './answers.ts';
import { continuations } from './continuations.ts';
import { measureFidelity, type Fidelity } from './fidelity.ts';
import { questionSets, swapSets } from './questions.ts';
import { scoreSwaps } from './swaps.ts';

/** The prompts whose graphs are measured. */
export const TRACED_PROMPTS = [
  'The capital of the state containing Dallas is',
  'The capital of the state containing Oakland is',
  'The opposite of hot is',
  'The capital of France is',
  'The language spoken in Osaka is',
  'The plural of mouse is',
  '5 + 3 =',
];

const HELD_OUT_ROWS = 1500;
const HELD_OUT_SEED = 99;

export interface Evaluation {
  readonly answers: Readonly<Record<string, Score>>;
  readonly fidelity: Fidelity;
  readonly swaps: Readonly<Record<string, { n: number; swapped: number }>>;
  readonly graphs: readonly {
    readonly prompt: string;
    readonly answer: string;
    readonly probability: number;
    readonly active: number;
    readonly replacement: number;
    readonly completeness: number;
  }[];
  readonly continuations: Readonly<Record<string, string>>;
}

/** Opens the model and set in two folders and measures them. */
export async function evaluate(
  facts: Facts,
  folders: { model: string; transcoders: string },
): Promise<Evaluation> {
  using session = await openSession({ ...folders, offline: true });
  const { tokenizer, replacement } = session;
  const prepared = prepareWith(facts, tokenizer);
  using subject = await holdSubject(replacement);
  const answers: Record<string, Score> = {};
  for (const [name, questions] of Object.entries(questionSets(facts)))
    answers[name] = await scoreAnswers(subject, tokenizer, questions);
  const rows = heldOutRows(facts, prepared);
  const fidelity = await measureFidelity(subject, rows);
  const swaps: Record<string, { n: number; swapped: number }> = {};
  for (const set of swapSets(facts, keptAsideCities(facts), KEPT_ASIDE_WORDINGS[0]!))
    swaps[set.name] = await scoreSwaps(subject, tokenizer, set);
  const graphs = [];
  for (const prompt of TRACED_PROMPTS) graphs.push(await traced(session, prompt));
  return { answers, fidelity, swaps, graphs, continuations: await continuations(subject, tokenizer) };
}

/** Token ids of the rows that transcoders are measured on, the shortest first. */
export function heldOutRows(facts: Facts, prepared: Prepared): number[][] {
  const stream = new RowStream(prepared.heldOut, facts, new Random(HELD_OUT_SEED));
  const rows = Array.from({ length: HELD_OUT_ROWS }, () =>
    stream.row().map((place) => prepared.used[place]!),
  );
  return rows.sort((a, b) => a.length - b.length);
}

async function traced(session: Session, prompt: string): Promise<Evaluation['graphs'][number]> {
  const result: AttributeResult = await attributeIn(session, { input: { prompt } });
  const [first] = result.logit_targets;
  return {
    prompt,
    answer: first!.text,
    probability: first!.probability,
    active: result.n_active_features,
    replacement: result.scores.replacement,
    completeness: result.scores.completeness,
  };
}
