/** Trainer: blocks of activations from the model, as it reads a corpus. */
import { activationsOf, BlockMemory, type ActivationOptions, type Block } from './activations.ts';
import type { BlockSource } from './batches.ts';
import { RowFeed, type RowFeedOptions, type RowFeedState } from './row-feed.ts';
import type { RowSource } from './rows.ts';

export interface LiveOptions {
  readonly rows: RowSource;
  readonly feed: RowFeedOptions;
  readonly activations: ActivationOptions;
  /** Tokens of a block, about: so many rows of full length. */
  readonly blockTokens: number;
}

export class LiveBlocks implements BlockSource<RowFeedState> {
  readonly #options: LiveOptions;
  readonly #feed: RowFeed;
  readonly #memory = new BlockMemory();

  constructor(options: LiveOptions, state?: RowFeedState) {
    this.#options = options;
    this.#feed = new RowFeed(options.rows, options.feed, state);
  }

  get state(): RowFeedState {
    return this.#feed.state;
  }

  async next(): Promise<Block | null> {
    const { blockTokens, rows, activations } = this.#options;
    const taken = await this.#feed.take(Math.max(1, Math.round(blockTokens / rows.context)));
    return taken.length === 0 ? null : await activationsOf(taken, activations, this.#memory);
  }
}
