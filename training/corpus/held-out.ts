/**
 * Corpus: the part that no training sees. Features are shown and transcoders measured on it. It has some wordings of each fact,
 * never all, so that the fact can be learned from the others, and every sentence that joins two facts about a held-out city.
 */
import type { Random } from '../../src/random.ts';
import { RELATIONS, type Facts, type Relation } from './facts.ts';
import { question, wordings } from './questions.ts';
import type { Corpus, Sentence } from './sentences.ts';

/** Mean share of the wordings of a fact that are held out. */
const SHARE = 0.15;
const JOINED: readonly Relation[] = ['two_hop', 'two_hop_region'];

export interface Parts {
  readonly trained: Corpus;
  readonly heldOut: Corpus;
  /** Questions whose answers make held-out sentences: no training asks them either. */
  readonly heldOutQuestions: ReadonlySet<string>;
}

export function partsOf(facts: Facts, corpus: Corpus, random: Random): Parts {
  const heldOutCities = new Set(facts.states.flatMap(({ held_out }) => held_out));
  const joins = ({ template, fields }: Sentence): boolean =>
    heldOutCities.has(String(fields.city)) &&
    JOINED.some((name) => facts.templates[name].t.includes(template));
  const all = RELATIONS.flatMap((relation) => corpus[relation]);
  const chosen = new Set(all.filter(joins));
  const left = new Map<string, number>();
  for (const sentence of all) {
    if (!chosen.has(sentence))
      for (const word of wordsOf(sentence)) left.set(word, (left.get(word) ?? 0) + 1);
  }
  for (const relation of RELATIONS) {
    for (const sentences of bySource(corpus[relation].filter((sentence) => !chosen.has(sentence)))) {
      let n = Math.min(sentences.length - 1, Math.floor(SHARE * sentences.length + random.next()));
      for (const sentence of random.shuffled(sentences)) {
        const words = wordsOf(sentence);
        // A word that occurs in no other sentence has to be trained here.
        if (n === 0 || words.some((word) => left.get(word) === 1)) continue;
        for (const word of words) left.set(word, left.get(word)! - 1);
        chosen.add(sentence);
        n--;
      }
    }
  }
  // The same sentence can occur in several relations.
  const texts = new Set(Array.from(chosen, ({ text }) => text));
  const filtered = (wanted: (sentence: Sentence) => boolean): Corpus =>
    Object.fromEntries(
      RELATIONS.map((relation) => [relation, corpus[relation].filter(wanted)]),
    ) as unknown as Corpus;
  const heldOutQuestions = new Set<string>();
  for (const wording of wordings(facts)) {
    for (const { text, template, fields } of corpus[wording.relation]) {
      if (template === wording.template && texts.has(text))
        heldOutQuestions.add(question(wording, String(fields[wording.subject])));
    }
  }
  return {
    trained: filtered(({ text }) => !texts.has(text)),
    heldOut: filtered((sentence) => chosen.has(sentence)),
    heldOutQuestions,
  };
}

function bySource(sentences: readonly Sentence[]): Sentence[][] {
  const groups = new Map<string, Sentence[]>();
  for (const sentence of sentences)
    groups.set(sentence.source, [...(groups.get(sentence.source) ?? []), sentence]);
  return [...groups.values()];
}

/** A word after a space is another token than one without. */
function wordsOf({ text }: Sentence): string[] {
  return [...new Set(text.match(/ ?[A-Za-z]+/g))];
}
