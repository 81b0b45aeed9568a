/** Attribution, step 3 of 4: rows of edges. A batch of gradients walks down the linear model and meets its sources. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D, Tensor3D } from '../backend/backend.ts';
import { letEventsIn } from '../backend/event-loop.ts';
import type { ReplacementModel } from '../replacement/replacement-model.ts';
import { columnOfToken, type Components, type Writers } from './components.ts';
import type { LinearModel } from './linear-model.ts';

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

/** What rows are computed from. Dispose it, or take it with `using`. */
export interface BackwardContext extends Disposable {
  readonly replacement: ReplacementModel;
  readonly linear: LinearModel;
  readonly components: Components;
  /**
   * What tokens write into hook_resid_mid of layer 0, [position]. Below the first attention there are only the tokens, so
   * taking these few forwards through it once is cheaper than taking every row backwards. Null where they would need too
   * much memory: then rows walk on to the embedding.
   */
  readonly tokenWriters: readonly Writers[] | null;
  /** Ends a walk between two layers: a batch of a large model takes longer than somebody wants to wait after Ctrl-C. */
  readonly signal: AbortSignal | undefined;
}

/** Vectors of tokens after the first attention are n_pos² / 2 rows; up to this size they are made. */
const LARGEST_TOKEN_WRITERS_BYTES = 256 * 1024 * 1024;

export function backwardContext(
  replacement: ReplacementModel,
  linear: LinearModel,
  components: Components,
  {
    largestTokenWritersBytes = LARGEST_TOKEN_WRITERS_BYTES,
    signal,
  }: { readonly largestTokenWritersBytes?: number; readonly signal?: AbortSignal | undefined } = {},
): BackwardContext {
  const { layout, tokenVectors } = components;
  const bytes = ((layout.n_pos * (layout.n_pos + 1)) / 2) * linear.d_model * 4;
  const tokenWriters =
    bytes > largestTokenWritersBytes
      ? null
      : Array.from({ length: layout.n_pos }, (_, q): Writers => ({
          vectors: linear.writtenByTokens(q, tokenVectors),
          columns: Int32Array.from({ length: q + 1 }, (_, position) => columnOfToken(layout, position)),
        }));
  return {
    replacement,
    linear,
    components,
    tokenWriters,
    signal,
    [Symbol.dispose]: () => tokenWriters?.forEach(({ vectors }) => vectors.dispose()),
  };
}

/** Rows of logit targets over all columns, [n_logits, n_columns]. */
export async function logitRows(context: BackwardContext, { vectors }: LogitBatch): Promise<Float32Array> {
  const { components, linear, replacement } = context;
  const { n_layers, n_pos } = components.layout;
  const rows = new RowBlock(context, vectors.shape[0]);
  const last = n_pos - 1;
  const top = n_layers - 1;
  const g = tf.tidy(() => {
    const { ln_final } = replacement.model.weights;
    const scale = components.forward.activations.get<Tensor2D>('ln_final.hook_scale');
    return tf.div<Tensor2D>(tf.mul(vectors, ln_final), tf.slice(scale, [last, 0], [1, 1]));
  });
  await rows.meetAt(components.writers[top]![last]!, g, 0);
  const atMid = linear.throughMlpAt(top, last, g);
  g.dispose();
  const positions = new Int32Array(vectors.shape[0]).fill(last);
  await walkDown(context, n_pos, rows, [{ layer: top, positions, g: atMid }]);
  return rows.values;
}

/** Rows of features over all columns, [batch, n_columns], in the order of the batch. */
export async function featureRows(context: BackwardContext, batch: FeatureBatch): Promise<Float32Array> {
  const { components, linear, replacement } = context;
  const { indices } = components.features;
  const joining: Joining[] = [];
  try {
    for (let start = 0; start < batch.features.length;) {
      const layer = indices[3 * batch.features[start]!]!;
      let stop = start;
      while (stop < batch.features.length && indices[3 * batch.features[stop]!] === layer) stop++;
      const members = batch.features.subarray(start, stop);
      const positions = members.map((feature) => indices[3 * feature + 1]!);
      const encoder = await replacement.transcoders.encoderRows(
        layer,
        members.map((f) => indices[3 * f + 2]!),
      );
      joining.push({ layer, positions, g: linear.fromFeatureInput(layer, encoder, positions) });
      encoder.dispose();
      start = stop;
    }
  } catch (error) {
    for (const { g } of joining) g.dispose();
    throw error;
  }
  const rows = new RowBlock(context, batch.features.length);
  await walkDown(context, batch.n_pos, rows, joining);
  return rows.values;
}

/** Rows that enter the walk at hook_resid_mid of a layer, each at one position. */
interface Joining {
  readonly layer: number;
  readonly positions: Int32Array;
  /** [n, d_model] */
  readonly g: Tensor2D;
}

/**
 * Walks all rows down to the tokens. `joining` is ordered from the highest layer down, and is disposed. A row costs nothing
 * above its own layer, one query position in it, and no position beyond `n_pos` anywhere.
 */
async function walkDown(
  { components, linear, tokenWriters, signal }: BackwardContext,
  n_pos: number,
  rows: RowBlock,
  joining: readonly Joining[],
): Promise<void> {
  let g: Tensor3D | undefined; // at hook_resid_post of `layer`, [n_pos, rows so far, d_model]
  const waiting = [...joining];
  try {
    for (let layer = waiting[0]?.layer ?? -1; layer >= 0; layer--) {
      await letEventsIn();
      signal?.throwIfAborted();
      const entering = waiting[0]?.layer === layer ? waiting[0] : undefined;
      const endsHere = layer === 0 && tokenWriters !== null;
      if (g) {
        await rows.meet(components.writers[layer]!, g);
        g = replace(g, (at) => linear.throughMlp(layer, at));
        if (endsHere) await rows.meet(tokenWriters, g);
        else g = replace(g, (at) => linear.throughAttention(layer, at));
      }
      if (entering && endsHere) {
        await rows.meetAtOwnPositions(tokenWriters, entering.g, entering.positions, g?.shape[1] ?? 0);
      } else if (entering) {
        const entered = linear.throughAttentionAt(layer, entering.positions, n_pos, entering.g);
        g = g ? joined(g, entered) : entered;
      }
      if (entering) waiting.shift()!.g.dispose();
    }
    if (g && !tokenWriters) await rows.meetTokens(g, components.tokenVectors);
  } finally {
    g?.dispose();
    for (const { g: unused } of waiting) unused.dispose();
  }
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

function replace(g: Tensor3D, step: (g: Tensor3D) => Tensor3D): Tensor3D {
  try {
    return step(g);
  } finally {
    g.dispose();
  }
}

/** Rows over all columns; gradients that meet sources add to it. */
class RowBlock {
  readonly values: Float32Array;
  private readonly components: Components;

  constructor({ components }: BackwardContext, n: number) {
    this.components = components;
    this.values = new Float32Array(n * components.layout.n_columns);
  }

  /** Meets writers [position], with gradients [n_pos, n, d_model] of the first n rows. */
  async meet(writers: readonly Writers[], g: Tensor3D): Promise<void> {
    const [n_pos, n, d_model] = g.shape;
    const reached = writers.slice(0, n_pos);
    const met = tf.tidy(() =>
      tf.concat(
        reached.map(({ vectors }, position) => {
          const at = tf.reshape<tf.Rank.R2>(tf.slice(g, [position, 0, 0], [1, n, d_model]), [n, d_model]);
          return tf.matMul<Tensor2D>(at, vectors, false, true); // [n, columns]
        }),
        1,
      ),
    );
    await this.add(
      met,
      reached.map(({ columns }) => columns),
      0,
    );
  }

  /** Meets the writers of one position, with gradients [n, d_model] of n rows from `firstRow` on. */
  async meetAt({ vectors, columns }: Writers, g: Tensor2D, firstRow: number): Promise<void> {
    await this.add(tf.matMul<Tensor2D>(g, vectors, false, true), [columns], firstRow);
  }

  /** Meets writers [position], each of n rows from `firstRow` on at its own position only; g is [n, d_model]. */
  async meetAtOwnPositions(
    writers: readonly Writers[],
    g: Tensor2D,
    positions: Int32Array,
    firstRow: number,
  ): Promise<void> {
    const d_model = g.shape[1];
    for (let start = 0; start < positions.length;) {
      let stop = start + 1;
      while (stop < positions.length && positions[stop] === positions[start]) stop++;
      const part = tf.slice<tf.Rank.R2, Tensor2D>(g, [start, 0], [stop - start, d_model]);
      await this.meetAt(writers[positions[start]!]!, part, firstRow + start);
      part.dispose();
      start = stop;
    }
  }

  /** Meets the tokens, with gradients [n_pos, n, d_model] at the embedding. */
  async meetTokens(g: Tensor3D, tokenVectors: Tensor2D): Promise<void> {
    const [n_pos, n, d_model] = g.shape;
    const met: Tensor2D = tf.tidy(() => {
      const vectors = tf.reshape(tf.slice(tokenVectors, [0, 0], [n_pos, d_model]), [n_pos, d_model, 1]);
      return tf.transpose(tf.reshape<tf.Rank.R2>(tf.matMul(g, vectors), [n_pos, n]));
    });
    const columns = Int32Array.from({ length: n_pos }, (_, position) =>
      columnOfToken(this.components.layout, position),
    );
    await this.add(met, [columns], 0);
  }

  /** Adds values [n, all columns side by side] to n rows from `firstRow` on, and disposes them. */
  private async add(met: Tensor2D, columns: readonly Int32Array[], firstRow: number): Promise<void> {
    const [n, width] = met.shape;
    const found = await met.data<'float32'>();
    met.dispose();
    const { n_columns } = this.components.layout;
    let from = 0;
    for (const part of columns) {
      for (let row = 0; row < n; row++) {
        for (let i = 0; i < part.length; i++) {
          this.values[(firstRow + row) * n_columns + part[i]!]! += found[row * width + from + i]!;
        }
      }
      from += part.length;
    }
  }
}
