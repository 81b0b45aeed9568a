/** Attribution, step 3 of 4: rows of edges. The gradients of a batch go back through the linear model, layer by layer. */
import type { Tensor2D } from '../backend/backend.ts';
import { FEATURE_FIELDS } from '../graph/graph.ts';
import type { RowColumns } from '../graph/row-columns.ts';
import type { ReplacementModel } from '../replacement/replacement-model.ts';
import type { FrozenPass } from './frozen-pass.ts';
import type { LinearModel } from './linear-model.ts';
import { RowSums } from './row-sums.ts';
import type { Sources } from './sources.ts';
import { TokenSources } from './token-sources.ts';
import { disposeStart, startBelowPost, walkBack, type RowStart } from './walk.ts';

/** Active features whose rows are wanted, by their index, in an order that `planBatches` made. */
export interface FeatureBatch {
  /** Indices into the active features, grouped by layer from the highest down. */
  readonly features: Int32Array;
  /** Positions that a row of the batch can reach: one more than the last position of its features. */
  readonly n_pos: number;
}

/** Vectors read at the output of the final norm, at the last position. */
export interface LogitBatch {
  /** [n_logits, d_model] */
  readonly vectors: Tensor2D;
}

/** What rows of a prompt are computed from. All of it stays the caller's. */
export interface BackwardContext {
  readonly replacement: ReplacementModel;
  readonly pass: FrozenPass;
  readonly linear: LinearModel;
  readonly sources: Sources;
  /** Null: gradients go back to the embedding. */
  readonly tokenSources: TokenSources | null;
  /** Of the rows, and of `sources`. */
  readonly columns: RowColumns;
  /** Looked at between two layers: a batch of a large model takes many seconds. */
  readonly signal?: AbortSignal | undefined;
}

/** Rows of logit targets over all columns, [n_logits, n_columns]. */
export async function logitRows(context: BackwardContext, { vectors }: LogitBatch): Promise<Float32Array> {
  const { replacement, linear, sources, pass, columns } = context;
  using rows = new RowSums(replacement.backend, vectors.shape[0], columns);
  const last = pass.n_pos - 1;
  const top = columns.n_layers - 1;
  const start = await startBelowPost(linear, top, last, linear.fromFinalNorm(vectors), async (output) => {
    for await (const { firstPosition, at } of sources.blocks(top, last, last + 1)) {
      await rows.addDotsAt(at[last - firstPosition]!, output, 0);
    }
  });
  await propagate(context, pass.n_pos, rows, [start]);
  return await rows.values();
}

/** Rows of features over all columns, [batch, n_columns], in the order of the batch. */
export async function featureRows(context: BackwardContext, batch: FeatureBatch): Promise<Float32Array> {
  const starts = await featureStarts(context, batch);
  using rows = new RowSums(context.replacement.backend, batch.features.length, context.columns);
  await propagate(context, batch.n_pos, rows, starts);
  return await rows.values();
}

/** Where the rows of a batch start, from the highest layer down. Belongs to the caller. */
export async function featureStarts(
  { linear, replacement, pass }: Pick<BackwardContext, 'linear' | 'replacement' | 'pass'>,
  batch: Pick<FeatureBatch, 'features'>,
): Promise<RowStart[]> {
  const { indices } = pass.features;
  const field = (feature: number, at: number): number => indices[FEATURE_FIELDS * feature + at]!;
  const starts: RowStart[] = [];
  try {
    for (let start = 0; start < batch.features.length;) {
      const layer = field(batch.features[start]!, 0);
      let stop = start;
      while (stop < batch.features.length && field(batch.features[stop]!, 0) === layer) stop++;
      const members = batch.features.subarray(start, stop);
      const positions = members.map((feature) => field(feature, 1));
      const encoder = await replacement.transcoders.encoderRows(
        layer,
        members.map((feature) => field(feature, 2)),
      );
      const g = linear.fromFeatureInput(layer, encoder, positions);
      starts.push({ layer, positions, g, passesAttention: !linear.isParallel });
      encoder.dispose();
      start = stop;
    }
    return starts;
  } catch (error) {
    for (const start of starts) disposeStart(start);
    throw error;
  }
}

/** Takes all gradients back to the tokens, and adds what sources contribute on the way. `starts` are disposed. */
async function propagate(
  { pass, linear, sources, tokenSources, columns, signal }: BackwardContext,
  n_pos: number,
  rows: RowSums,
  starts: readonly RowStart[],
): Promise<void> {
  await walkBack({ linear, n_pos, signal }, starts, {
    async output(layer, output) {
      for await (const block of sources.blocks(layer, 0, n_pos)) await rows.addDots(block, output);
    },
    async attention(layer, g, start) {
      if (layer > 0 || !tokenSources) return false;
      using tokens = await tokenSources.acquire(columns);
      if (g) await rows.addDots(tokens, g);
      if (start) await rows.addDotsAtOwn(tokens, start.g, start.positions, g?.shape[1] ?? 0);
      return true;
    },
    embedding: (g) => rows.addTokenDots(pass.tokenVectors, g),
  });
}
