/**
 * Trainer: activations on disk, so that the model runs once however many passes and epochs follow. A shard is what the memory holds of all
 * layers: a safetensors file of bfloat16 numbers, written whole or not at all, with a checksum of its own numbers. Some shards are a block,
 * whose tokens are shuffled together: blocks are the same whichever layers are stored.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { BadFileError, ExhaustedError } from '../errors.ts';
import { writeFileAtomic } from '../formats/atomic.ts';
import { narrowToBfloat16, widen } from '../formats/dtype.ts';
import { jsonObject, jsonRecord } from '../formats/json-object.ts';
import { readJson } from '../formats/json.ts';
import { openSafetensors } from '../formats/safetensors.ts';
import { writeSafetensors, type TensorToWrite } from '../formats/safetensors-writer.ts';
import { folderState } from '../backend/disk.ts';
import { Random } from '../random.ts';
import { BlockMemory, type Block, type LayerValues } from './activations.ts';
import type { BlockSource } from './batches.ts';
import type { TrainIdentity } from './checkpoint.ts';
import type { RowFeedState } from './row-feed.ts';

const INDEX_FILE = 'store.json';

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const Index = jsonObject({
  identity: jsonRecord(v.string(), v.string()),
  /** One a shard, in order; a checksum a layer. */
  shards: v.array(jsonObject({ n: count, sha256: v.array(v.string()) })),
  /** Where the corpus is read on; null: it has been read. */
  next: v.nullable(v.unknown()),
});
type Index = v.InferOutput<typeof Index>;
type Shard = Index['shards'][number];

export interface StoreOptions {
  readonly folder: string;
  /** What the numbers depend on. */
  readonly identity: TrainIdentity;
  readonly layers: readonly number[];
  readonly d_model: number;
  /** Tokens that are wanted. */
  readonly tokens: number;
  /** Shards of a block. */
  readonly blockShards: number;
}

export interface StoredState {
  readonly epoch: number;
  /** Blocks of the epoch that were given. */
  readonly given: number;
}

const STORED_BYTES = 2;
/** Inputs and outputs. */
const SIDES = 2;

/** Bytes of the numbers of so many tokens. */
export function storeBytes({
  layers,
  d_model,
  tokens,
}: Pick<StoreOptions, 'layers' | 'd_model' | 'tokens'>): number {
  return layers.length * SIDES * d_model * tokens * STORED_BYTES;
}

export class ActivationStore {
  readonly #options: StoreOptions;
  #index: Index;

  private constructor(options: StoreOptions, index: Index) {
    this.#options = options;
    this.#index = index;
  }

  /**
   * Opens a folder, new or with shards of an earlier run. Throws `BadFileError` for those of another model, corpus or layers, and
   * `ExhaustedError` where the disk has no room for all.
   */
  static async open(options: StoreOptions): Promise<ActivationStore> {
    const path = join(options.folder, INDEX_FILE);
    const index: Index = existsSync(path)
      ? await readJson(path, Index)
      : { identity: options.identity, shards: [], next: FROM_THE_START };
    for (const [name, value] of Object.entries(options.identity)) {
      const found = index.identity[name];
      if (found === value) continue;
      throw new BadFileError({
        code: 'other_store',
        message: `${path} is of other activations: ${name} is ${found ?? 'not known'}, expected ${value}`,
        hint: 'Give --store another folder, or remove this one.',
      });
    }
    const store = new ActivationStore(options, index);
    const needed = storeBytes({ ...options, tokens: Math.max(0, options.tokens - store.n_tokens) });
    const { freeBytes } = await folderState(options.folder);
    if (needed > freeBytes) {
      throw new ExhaustedError({
        code: 'disk_full',
        message: `${options.folder}: the activations of ${options.tokens} tokens take ${needed} bytes more, the disk has ${freeBytes}`,
        hint: 'Give --store a folder on a larger disk, fewer --tokens or --layers, or leave --store out.',
      });
    }
    return store;
  }

  get n_tokens(): number {
    return tokensOf(this.#index.shards);
  }

  /** The last block is filled beyond the tokens that are wanted: which of its tokens are given is up to its order. */
  get #isFull(): boolean {
    const { tokens, blockShards } = this.#options;
    return this.n_tokens >= tokens && this.#index.shards.length % blockShards === 0;
  }

  /** Where a source of blocks has to begin to bring what is missing; undefined: at the beginning. Null: nothing is. */
  get missingFrom(): RowFeedState | undefined | null {
    const { next } = this.#index;
    if (next === null || this.#isFull) return null;
    return next === FROM_THE_START ? undefined : (next as RowFeedState);
  }

  /** Writes the blocks of a source until there are enough tokens. An interrupted one is gone on with from the last shard. */
  async fill(source: BlockSource<RowFeedState>, onShard?: (tokens: number) => void): Promise<void> {
    while (!this.#isFull) {
      const block = await source.next();
      if (block) await this.#write(block);
      this.#index = { ...this.#index, next: block ? source.state : null };
      await writeFileAtomic(join(this.#options.folder, INDEX_FILE), JSON.stringify(this.#index));
      if (!block) return;
      onShard?.(this.n_tokens);
    }
  }

  async #write({ n, layers }: Block): Promise<void> {
    const sha256: string[] = [];
    const tensors: TensorToWrite[] = [];
    // One without tokens counts as a shard, so that blocks end where they end with shards of another length.
    for (const layer of n > 0 ? this.#options.layers : []) {
      const hash = createHash('sha256');
      for (const side of ['x', 'y'] as const) {
        const data = narrowToBfloat16(layers.get(layer)![side]);
        hash.update(new Uint8Array(data.buffer));
        tensors.push({ name: nameOf(layer, side), dtype: 'BF16', shape: [n, this.#options.d_model], data });
      }
      sha256.push(hash.digest('hex'));
    }
    if (n > 0) await writeSafetensors(this.#fileOf(this.#index.shards.length), tensors);
    this.#index = { ...this.#index, shards: [...this.#index.shards, { n, sha256 }] };
  }

  #fileOf(shard: number): string {
    return join(this.#options.folder, `shard_${shard}.safetensors`);
  }

  /** Blocks in an order that seed and epoch decide, with these layers alone. `next` throws `BadFileError` for other numbers than were written. */
  blocks(
    layers: readonly number[],
    epochs: number,
    seed: number,
    state?: StoredState,
  ): BlockSource<StoredState> {
    let now = state ?? { epoch: 0, given: 0 };
    const n_blocks = Math.ceil(this.#index.shards.length / this.#options.blockShards);
    let longest = 0;
    for (let i = 0; i < n_blocks; i++) longest = Math.max(longest, tokensOf(this.#shardsOf(i)));
    const memory = new BlockMemory(longest * this.#options.d_model);
    const next = async (): Promise<Block | null> => {
      if (now.given === n_blocks) now = { epoch: now.epoch + 1, given: 0 };
      if (now.epoch >= epochs || n_blocks === 0) return null;
      const order = new Random(seed + now.epoch).shuffled(Array.from({ length: n_blocks }, (_, i) => i));
      const block = await this.#readBlock(order[now.given]!, layers, memory);
      now = { ...now, given: now.given + 1 };
      return block;
    };
    return {
      get state() {
        return now;
      },
      next,
    };
  }

  #shardsOf(block: number): readonly Shard[] {
    const { blockShards } = this.#options;
    return this.#index.shards.slice(block * blockShards, (block + 1) * blockShards);
  }

  async #readBlock(block: number, layers: readonly number[], memory: BlockMemory): Promise<Block> {
    const { blockShards, d_model } = this.#options;
    const first = block * blockShards;
    const shards = this.#shardsOf(block);
    const n = tokensOf(shards);
    const values = memory.take(layers, n * d_model);
    let at = 0;
    for (const [i, shard] of shards.entries()) {
      if (shard.n > 0) await this.#read(first + i, values, at * d_model);
      at += shard.n;
    }
    return { n, layers: values };
  }

  /** Writes a shard behind the first `offset` numbers of each array. */
  async #read(shard: number, values: ReadonlyMap<number, LayerValues>, offset: number): Promise<void> {
    const path = this.#fileOf(shard);
    const { sha256 } = this.#index.shards[shard]!;
    using file = await openSafetensors(path);
    for (const [layer, of] of values) {
      const [x, y] = [await file.read(nameOf(layer, 'x')), await file.read(nameOf(layer, 'y'))];
      const own = createHash('sha256').update(x).update(y).digest('hex');
      if (own !== sha256[this.#options.layers.indexOf(layer)]) throw damaged(path, layer);
      of.x.set(widen(x, 'BF16'), offset);
      of.y.set(widen(y, 'BF16'), offset);
    }
  }
}

function tokensOf(shards: readonly Shard[]): number {
  return shards.reduce((sum, { n }) => sum + n, 0);
}

function damaged(path: string, layer: number): BadFileError {
  return new BadFileError({
    code: 'damaged_store',
    message: `${path}: layer ${layer} has other numbers than were written`,
    hint: 'Remove the store, and fill it again.',
  });
}

const FROM_THE_START = 'start';

function nameOf(layer: number, side: 'x' | 'y'): string {
  return `layer_${layer}.${side}`;
}
