/** Trainer: batches of tokens in an order that a seed decides: the tokens of a block are shuffled and cut. */
import { Random } from '../random.ts';
import type { Block } from './activations.ts';

/** Blocks one after the other. `state` is what the blocks that follow can be had from again. */
export interface BlockSource<S> {
  readonly state: S;
  /** Null: there are no more. A block holds until the next is asked for. */
  next(): Promise<Block | null>;
}

/** From it the same batches follow as from the feed that gave it. */
export interface BatchFeedState<S> {
  /** Where the block that is being given comes from, and the random numbers that shuffle it. */
  readonly source: S;
  readonly random: number;
  /** Tokens before the block. */
  readonly n_tokens: number;
  /** Batches of the block that were given. */
  readonly given: number;
}

export interface BatchOptions {
  /** About so many tokens a batch: those of a block are divided evenly. */
  readonly batchTokens: number;
  readonly isShuffled: boolean;
  /** Tokens of all batches together. */
  readonly tokens: number;
}

/** Tokens of a block. */
export interface Batch {
  readonly block: Block;
  /** Their places in it. */
  readonly places: Int32Array;
  /** Tokens before the batch. */
  readonly n_before: number;
}

export class BatchFeed<S> {
  readonly #source: BlockSource<S>;
  readonly #options: BatchOptions;
  #state: BatchFeedState<S>;
  #block: { readonly block: Block; readonly order: Int32Array; readonly randomAfter: number } | null = null;

  constructor(source: BlockSource<S>, options: BatchOptions, state: Omit<BatchFeedState<S>, 'source'>) {
    this.#source = source;
    this.#options = options;
    this.#state = { ...state, source: source.state };
  }

  get state(): BatchFeedState<S> {
    return this.#state;
  }

  /** The block that the next batch is of; null: there is none. */
  async first(): Promise<Block | null> {
    if (!this.#block) await this.#read();
    return this.#block?.block ?? null;
  }

  /** Null when all tokens were given, or the source has no more. */
  async next(): Promise<Batch | null> {
    if (!this.#block && !(await this.#read())) return null;
    const { block, order } = this.#block!;
    const { given, n_tokens } = this.#state;
    const n_batches = Math.max(1, Math.round(order.length / this.#options.batchTokens));
    const [start, stop] = [given, given + 1].map((i) => Math.floor((i * order.length) / n_batches));
    this.#state = { ...this.#state, given: given + 1 };
    if (given + 1 === n_batches) {
      this.#state = {
        source: this.#source.state,
        random: this.#block!.randomAfter,
        n_tokens: n_tokens + order.length,
        given: 0,
      };
      this.#block = null;
    }
    return { block, places: order.subarray(start, stop), n_before: n_tokens + start! };
  }

  async #read(): Promise<boolean> {
    for (;;) {
      const left = this.#options.tokens - this.#state.n_tokens;
      if (left <= 0) return false;
      const block = await this.#source.next();
      if (!block) return false;
      if (block.n === 0) {
        this.#state = { ...this.#state, source: this.#source.state };
        continue;
      }
      const random = new Random(this.#state.random);
      const order = Int32Array.from({ length: block.n }, (_, i) => i);
      if (this.#options.isShuffled) shuffle(order, random);
      this.#block = { block, order: order.subarray(0, left), randomAfter: random.state };
      return true;
    }
  }
}

function shuffle(order: Int32Array, random: Random): void {
  for (let i = order.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
}
