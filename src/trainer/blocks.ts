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
  readonly #rowsOfBlock: number;
  readonly #memory: BlockMemory;

  constructor(options: LiveOptions, state?: RowFeedState) {
    const { blockTokens, rows, activations } = options;
    this.#options = options;
    this.#rowsOfBlock = Math.max(1, Math.round(blockTokens / rows.context));
    this.#memory = new BlockMemory(this.#rowsOfBlock * rows.context * activations.model.config.d_model);
    this.#feed = new RowFeed(options.rows, options.feed, state);
  }

  get state(): RowFeedState {
    return this.#feed.state;
  }

  async next(): Promise<Block | null> {
    const taken = await this.#feed.take(this.#rowsOfBlock);
    return taken.length === 0 ? null : await activationsOf(taken, this.#options.activations, this.#memory);
  }
}
