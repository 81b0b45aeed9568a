/** Corpus: an endless stream of training rows. A relation is drawn by its weight, then its next sentence. */
import type { Random } from '../../src/random.ts';
import { RELATIONS, type Facts, type Relation } from './facts.ts';

/** A row has one sentence, or with these shares two or three. */
const TWO_SENTENCES = 0.2;
const THREE_SENTENCES = 0.1;
/** So many batches are drawn at once and cut by length, so that little padding is needed. */
const POOLED_BATCHES = 8;

/** Token ids of a sentence alone, and of a sentence after a space. */
interface TokenizedSentence {
  readonly first: readonly number[];
  readonly later: readonly number[];
}

export interface TokenizedCorpus {
  readonly sentences: Readonly<Record<Relation, readonly TokenizedSentence[]>>;
  readonly bos: number;
  readonly eos: number;
}

export class RowStream {
  private readonly corpus: TokenizedCorpus;
  private readonly random: Random;
  private readonly weights: readonly (readonly [Relation, number])[];
  private readonly left = new Map<Relation, number[]>();
  private pool: number[][][] = [];

  /** @param weights weights of relations that replace those of the facts */
  constructor(
    corpus: TokenizedCorpus,
    facts: Facts,
    random: Random,
    weights: Partial<Record<Relation, number>> = {},
  ) {
    this.corpus = corpus;
    this.random = random;
    this.weights = RELATIONS.map(
      (relation) => [relation, weights[relation] ?? facts.templates[relation].w] as const,
    );
  }

  /** The next batch: rows of similar length, each `<bos>`, sentences, `<eos>`. */
  batch(n_rows: number): number[][] {
    if (this.pool.length === 0) {
      const rows = Array.from({ length: POOLED_BATCHES * n_rows }, () => this.row());
      rows.sort((a, b) => a.length - b.length);
      const batches = Array.from({ length: POOLED_BATCHES }, (_, i) =>
        rows.slice(i * n_rows, (i + 1) * n_rows),
      );
      this.pool = this.random.shuffled(batches);
    }
    return this.pool.pop()!;
  }

  row(): number[] {
    const n = sentencesOfRow(this.random);
    return rowOf(
      this.corpus,
      Array.from({ length: n }, () => this.sentence()),
    );
  }

  private sentence(): TokenizedSentence {
    const [relation] = this.random.weighted(this.weights, ([, weight]) => weight);
    const sentences = this.corpus.sentences[relation];
    let left = this.left.get(relation) ?? [];
    // Each sentence once before any returns.
    if (left.length === 0) left = this.random.shuffled([...sentences.keys()]);
    const index = left.pop()!;
    this.left.set(relation, left);
    return sentences[index]!;
  }
}

/** Every sentence of a corpus once, in rows like those of the stream. */
export function rowsOfAll(corpus: TokenizedCorpus, random: Random): number[][] {
  const left = random.shuffled(Object.values(corpus.sentences).flat());
  const rows: number[][] = [];
  while (left.length > 0) rows.push(rowOf(corpus, left.splice(0, sentencesOfRow(random))));
  return rows;
}

function sentencesOfRow(random: Random): number {
  const draw = random.next();
  return draw < THREE_SENTENCES ? 3 : draw < THREE_SENTENCES + TWO_SENTENCES ? 2 : 1;
}

function rowOf({ bos, eos }: TokenizedCorpus, sentences: readonly TokenizedSentence[]): number[] {
  return [bos, ...sentences.flatMap(({ first, later }, i) => (i === 0 ? first : later)), eos];
}
