/** Trainer: rows in an order that a seed decides: a block of them is read and shuffled, then the next. */
import { Random } from '../random.ts';
import { CORPUS_BEGIN, rowsOf, type Row, type RowPlace, type RowSource } from './rows.ts';

/** From it the same rows follow as from the feed that gave it. */
export interface RowFeedState {
  /** Where the block that is being given begins, and the random numbers that shuffle it. */
  readonly from: RowPlace;
  readonly random: number;
  /** Rows of the block that were given. */
  readonly given: number;
  /** Times that the corpus was read to its end. */
  readonly epoch: number;
}

export interface RowFeedOptions {
  /** Rows of a block; 0: rows come as they are read. */
  readonly shuffledRows: number;
  readonly seed: number;
  /** Times that the corpus is read. */
  readonly epochs: number;
}

/** Rows that are read at a time where they are not shuffled. */
const PLAIN_BLOCK = 64;

export class RowFeed {
  readonly #source: RowSource;
  readonly #options: RowFeedOptions;
  #state: RowFeedState;
  #block: readonly (readonly number[])[] | null = null;
  /** Where the block ends; null: the corpus does. */
  #after: RowPlace | null = null;
  #reader: AsyncGenerator<Row, void, undefined> | null = null;
  /** State of the random numbers after the block was shuffled. */
  #randomAfter = 0;

  constructor(source: RowSource, options: RowFeedOptions, state?: RowFeedState) {
    this.#source = source;
    this.#options = options;
    this.#state = state ?? { from: CORPUS_BEGIN, random: options.seed >>> 0, given: 0, epoch: 0 };
  }

  get state(): RowFeedState {
    return this.#state;
  }

  /** The next `n` rows; fewer at the end of the corpus, none after it. Throws what reading the corpus throws. */
  async take(n: number): Promise<(readonly number[])[]> {
    const rows: (readonly number[])[] = [];
    while (rows.length < n) {
      this.#block ??= await this.#read();
      const { given } = this.#state;
      const part = this.#block.slice(given, given + n - rows.length);
      for (const row of part) rows.push(row);
      this.#state = { ...this.#state, given: given + part.length };
      if (this.#state.given < this.#block.length) continue;
      if (!this.#next()) break;
    }
    return rows;
  }

  /** The number of the block after this one; false at the end of all epochs. */
  #next(): boolean {
    const { epoch } = this.#state;
    if (this.#after) {
      this.#state = { from: this.#after, random: this.#randomAfter, given: 0, epoch };
    } else if (
      epoch + 1 < this.#options.epochs &&
      (this.#block!.length > 0 || this.#state.from.n_documents > 0)
    ) {
      this.#reader = null;
      this.#state = { from: CORPUS_BEGIN, random: this.#randomAfter, given: 0, epoch: epoch + 1 };
    } else return false;
    this.#block = null;
    return true;
  }

  async #read(): Promise<readonly (readonly number[])[]> {
    const { shuffledRows } = this.#options;
    this.#reader ??= rowsOf(this.#source, this.#state.from);
    const rows: (readonly number[])[] = [];
    this.#after = null;
    while (rows.length < (shuffledRows || PLAIN_BLOCK)) {
      const { value, done } = await this.#reader.next();
      if (done) {
        this.#after = null;
        break;
      }
      rows.push(value.tokens);
      this.#after = value.after;
    }
    const random = new Random(this.#state.random);
    const shuffled = shuffledRows > 0 ? random.shuffled(rows) : rows;
    this.#randomAfter = random.state;
    return shuffled;
  }
}
