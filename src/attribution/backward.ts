/** Attribution, step 3 of 4: rows of edges. The gradients of a batch go back through the linear model, layer by layer. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D, Tensor3D } from '../backend/backend.ts';
import { yieldToEventLoop } from '../backend/event-loop.ts';
import { FEATURE_FIELDS } from '../graph/graph.ts';
import type { RowColumns } from '../graph/row-columns.ts';
import type { ReplacementModel } from '../replacement/replacement-model.ts';
import type { AttentionMap } from './attention-map.ts';
import type { FrozenPass } from './frozen-pass.ts';
import type { LinearModel } from './linear-model.ts';
import { RowSums } from './row-sums.ts';
import type { Sources } from './sources.ts';
import { TokenSources } from './token-sources.ts';

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
  const n = vectors.shape[0];
  using rows = new RowSums(replacement.backend, n, columns);
  const last = pass.n_pos - 1;
  const top = columns.n_layers - 1;
  let g = linear.fromFinalNorm(vectors);
  let beside: Tensor2D | undefined;
  try {
    const output = linear.toFeatureOutputAt(top, last, g);
    try {
      for await (const { firstPosition, at } of sources.blocks(top, last, last + 1)) {
        await rows.addDotsAt(at[last - firstPosition]!, output, 0);
      }
      using skip = await linear.skip(top);
      if (skip && linear.isParallel) beside = skip.backAt(last, output);
      else if (skip) g = replace(g, (at) => tf.add(at, skip.backAt(last, output)));
    } finally {
      output.dispose();
    }
  } catch (error) {
    g.dispose();
    throw error;
  }
  const positions = new Int32Array(n).fill(last);
  await propagate(context, pass.n_pos, rows, [
    { layer: top, positions, g, passesAttention: true, ...(beside && { beside }) },
  ]);
  return await rows.values();
}

/** Rows of features over all columns, [batch, n_columns], in the order of the batch. */
export async function featureRows(context: BackwardContext, batch: FeatureBatch): Promise<Float32Array> {
  const { linear, replacement, pass } = context;
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
  } catch (error) {
    for (const start of starts) disposeStart(start);
    throw error;
  }
  using rows = new RowSums(replacement.backend, batch.features.length, context.columns);
  await propagate(context, batch.n_pos, rows, starts);
  return await rows.values();
}

/** Gradients of rows that start at hook_resid_mid of a layer, in a parallel block at hook_resid_pre, each at one position. */
interface RowStart {
  readonly layer: number;
  readonly positions: Int32Array;
  /** [n, d_model] */
  readonly g: Tensor2D;
  /** Whether they go back through the attention of the layer too: what features of a parallel block read is before it. */
  readonly passesAttention: boolean;
  /** In a parallel block, what goes back through the skip of the layer, [n, d_model]. */
  readonly beside?: Tensor2D;
}

/**
 * Takes all gradients back to the tokens, and adds what sources contribute on the way. `starts` are ordered from the highest
 * layer down, and are disposed. A row costs nothing above its own layer, one query position in it, and no position beyond
 * `n_pos` anywhere.
 */
async function propagate(
  { pass, linear, sources, tokenSources, columns, signal }: BackwardContext,
  n_pos: number,
  rows: RowSums,
  starts: readonly RowStart[],
): Promise<void> {
  let g: Tensor3D | undefined; // at hook_resid_post of `layer`, [n_pos, rows so far, d_model]
  let skipped: Tensor3D | undefined; // of a parallel block, what goes back through its skip
  const pending = [...starts];
  try {
    for (let layer = pending[0]?.layer ?? -1; layer >= 0; layer--) {
      await yieldToEventLoop();
      signal?.throwIfAborted();
      const starting = pending[0]?.layer === layer ? pending[0] : undefined;
      if (g) {
        const output = linear.toFeatureOutput(layer, g);
        try {
          for await (const block of sources.blocks(layer, 0, n_pos)) await rows.addDots(block, output);
          using skip = await linear.skip(layer);
          if (skip && linear.isParallel) skipped = skip.back(output);
          else if (skip) g = replace(g, (at) => tf.add(at, skip.back(output)));
        } finally {
          output.dispose();
        }
      }
      if (layer === 0 && tokenSources) {
        using tokens = await tokenSources.acquire(columns);
        if (g) await rows.addDots(tokens, g);
        if (starting) await rows.addDotsAtOwn(tokens, starting.g, starting.positions, g?.shape[1] ?? 0);
      } else {
        using attention = await linear.attention(layer);
        if (g) {
          const beside = skipped;
          g = replace(g, (at) => tf.addN([at, attention.back(at), ...(beside ? [beside] : [])]));
          skipped = dispose(skipped);
        }
        if (starting) {
          const moved = started(starting, attention, n_pos);
          g = g ? joined(g, moved) : moved;
        }
      }
      if (starting) disposeStart(pending.shift()!);
    }
    if (g && !tokenSources) await rows.addTokenDots(pass.tokenVectors, g);
  } finally {
    g?.dispose();
    skipped?.dispose();
    for (const unused of pending) disposeStart(unused);
  }
}

/** What a start is at hook_resid_pre of its layer, [n_pos, n, d_model]. */
function started(
  { positions, g, beside, passesAttention }: RowStart,
  attention: AttentionMap,
  n_pos: number,
): Tensor3D {
  return tf.tidy(() => {
    const own = atPositions(positions, n_pos, beside ? tf.add<Tensor2D>(g, beside) : g);
    return passesAttention ? tf.add<Tensor3D>(attention.backAt(positions, n_pos, g), own) : own;
  });
}

function disposeStart({ g, beside }: RowStart): void {
  g.dispose();
  beside?.dispose();
}

function dispose(tensor: Tensor3D | undefined): undefined {
  tensor?.dispose();
}

/** g [n, d_model] put at its positions among zeros, [n_pos, n, d_model]. */
function atPositions(positions: Int32Array, n_pos: number, g: Tensor2D): Tensor3D {
  const place = new Float32Array(n_pos * positions.length);
  positions.forEach((position, i) => (place[position * positions.length + i] = 1));
  return tf.mul<Tensor3D>(tf.tensor3d(place, [n_pos, positions.length, 1]), tf.expandDims(g, 0));
}

/** Rows of both, the first ones first; disposes its inputs. */
function joined(first: Tensor3D, second: Tensor3D): Tensor3D {
  try {
    return tf.concat([first, second], 1);
  } finally {
    first.dispose();
    second.dispose();
  }
}

/** What a step makes of g, in a tidy of its own; disposes g. */
function replace<T extends Tensor2D | Tensor3D>(g: T, step: (g: T) => T): T {
  try {
    return tf.tidy(() => step(g));
  } finally {
    g.dispose();
  }
}
