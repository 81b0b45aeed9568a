/** Engine, verb `train`: where activations come from: the model as it reads the corpus, or a store on disk that it fills once. */
import type { TransformerConfig } from '../../model/config.ts';
import type { BlockSource } from '../../trainer/batches.ts';
import type { TrainIdentity } from '../../trainer/checkpoint.ts';
import type { TrainPlan } from '../../trainer/plan.ts';
import type { Recipe } from '../../trainer/recipe.ts';
import type { RowFeedState } from '../../trainer/row-feed.ts';
import { ActivationStore } from '../../trainer/store.ts';
import type { TrainOptions } from '../../trainer/options.ts';
import type { TrainRequest } from './types.ts';

interface StoreInput {
  readonly recipe: Recipe;
  readonly plan: TrainPlan;
  readonly identity: TrainIdentity;
  readonly config: TransformerConfig;
  readonly epochs: number;
  /** Tokens of a row. */
  readonly context: number;
}

/** What of a training the activations of a store depend on. */
const STORE_IDENTITY = ['tracer_version', 'model', 'corpus', 'held_out', 'rows', 'backend'] as const;
/** Of all layers of a shard, in memory. */
const SHARD_BYTES = 2 ** 30;
/** Inputs and outputs in float32. */
const BYTES_OF_NUMBER = 2 * 4;

/** Fills the store of a request where something is missing, and gives what reads it. */
export async function storedSource(
  request: TrainRequest,
  { recipe, plan, identity, config, epochs, context }: StoreInput,
  live: (blockTokens: number, state?: RowFeedState) => BlockSource<RowFeedState>,
): Promise<TrainOptions['source']> {
  const { layers, feature_input_hook, feature_output_hook, seed } = recipe;
  const tokens = Math.ceil(recipe.tokens / epochs);
  const fitting = Math.floor(SHARD_BYTES / (layers.length * BYTES_OF_NUMBER * config.d_model));
  const blockRows = Math.max(1, Math.round(plan.blockTokens / context));
  const blockShards = shardsOfBlock(blockRows, Math.floor(fitting / context));
  const shardTokens = (blockRows / blockShards) * context;
  const store = await ActivationStore.open({
    folder: request.store!,
    identity: {
      ...Object.fromEntries(STORE_IDENTITY.map((name) => [name, identity[name]!])),
      layers: layers.join(),
      hooks: `${feature_input_hook} to ${feature_output_hook}`,
      seed: String(seed),
      block_tokens: String(plan.blockTokens),
      shard_tokens: String(shardTokens),
    },
    blockShards,
    layers,
    d_model: config.d_model,
    tokens,
  });
  const from = store.missingFrom;
  if (from !== null) {
    await store.fill(live(shardTokens, from), (done) =>
      request.onProgress?.({
        kind: 'progress',
        phase: 'store',
        message: 'Storing activations',
        done: Math.min(done, tokens),
        total: tokens,
      }),
    );
  }
  return (ofPass, state) => store.blocks(ofPass, epochs, seed, state);
}

/** The fewest shards of equal length, in rows, that a block can be cut into so that `most` rows suffice for each. */
export function shardsOfBlock(rows: number, most: number): number {
  let n = 1;
  while (n < rows && (rows % n !== 0 || rows / n > most)) n += 1;
  return n;
}
