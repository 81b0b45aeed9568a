/** Attribution, step 3 of 4: rows of edges. A batch of gradients walks down the linear model and meets its sources. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D, Tensor3D } from '../backend/backend.ts';
import type { ReplacementModel } from '../replacement/replacement-model.ts';
import { columnOfToken, type Components } from './components.ts';
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

/** What rows are computed from. */
export interface BackwardContext {
  readonly replacement: ReplacementModel;
  readonly linear: LinearModel;
  readonly components: Components;
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
  await rows.collectAt(top, last, g);
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
 * Walks all rows down to the embedding. `joining` is ordered from the highest layer down, and is disposed. A row costs
 * nothing above its own layer, one query position in it, and no position beyond `n_pos` anywhere.
 */
async function walkDown(
  { components, linear }: BackwardContext,
  n_pos: number,
  rows: RowBlock,
  joining: readonly Joining[],
): Promise<void> {
  let g: Tensor3D | undefined; // at hook_resid_post of `layer`, [n_pos, rows so far, d_model]
  const waiting = [...joining];
  try {
    for (let layer = waiting[0]?.layer ?? -1; layer >= 0; layer--) {
      if (g) {
        await rows.collect(layer, g);
        g = replace(g, (at) => linear.throughMlp(layer, at));
        g = replace(g, (at) => linear.throughAttention(layer, at));
      }
      if (waiting[0]?.layer === layer) {
        const { positions, g: entering } = waiting.shift()!;
        const entered = linear.throughAttentionAt(layer, positions, n_pos, entering);
        entering.dispose();
        const before: Tensor3D | undefined = g;
        g = before ? tf.concat([before, entered], 1) : entered;
        if (before) {
          before.dispose();
          entered.dispose();
        }
      }
    }
    if (g) await rows.collectTokens(g, components.tokenVectors);
  } finally {
    g?.dispose();
    for (const { g: unused } of waiting) unused.dispose();
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

  /** Meets everything that writes into `layer`, with gradients [n_pos, n, d_model] of the first n rows. */
  async collect(layer: number, g: Tensor3D): Promise<void> {
    const [n_pos, n, d_model] = g.shape;
    const writers = this.components.writers[layer]!.slice(0, n_pos);
    const met = tf.tidy(() =>
      tf.concat(
        writers.map(({ vectors }, position) => {
          const at = tf.reshape<tf.Rank.R2>(tf.slice(g, [position, 0, 0], [1, n, d_model]), [n, d_model]);
          return tf.matMul<Tensor2D>(at, vectors, false, true); // [n, columns]
        }),
        1,
      ),
    );
    await this.add(
      met,
      writers.map(({ columns }) => columns),
    );
  }

  /** As `collect`, with gradients [n, d_model] at one position. */
  async collectAt(layer: number, position: number, g: Tensor2D): Promise<void> {
    const { vectors, columns } = this.components.writers[layer]![position]!;
    await this.add(tf.matMul<Tensor2D>(g, vectors, false, true), [columns]);
  }

  /** Meets the tokens, with gradients [n_pos, n, d_model] at the embedding. */
  async collectTokens(g: Tensor3D, tokenVectors: Tensor2D): Promise<void> {
    const [n_pos, n, d_model] = g.shape;
    const met: Tensor2D = tf.tidy(() => {
      const vectors = tf.reshape(tf.slice(tokenVectors, [0, 0], [n_pos, d_model]), [n_pos, d_model, 1]);
      return tf.transpose(tf.reshape<tf.Rank.R2>(tf.matMul(g, vectors), [n_pos, n]));
    });
    const columns = Int32Array.from({ length: n_pos }, (_, position) =>
      columnOfToken(this.components.layout, position),
    );
    await this.add(met, [columns]);
  }

  /** Adds values [n, all columns side by side] to the first n rows, and disposes them. */
  private async add(met: Tensor2D, columns: readonly Int32Array[]): Promise<void> {
    const [n, width] = met.shape;
    const found = await met.data<'float32'>();
    met.dispose();
    const { n_columns } = this.components.layout;
    let from = 0;
    for (const part of columns) {
      for (let row = 0; row < n; row++) {
        for (let i = 0; i < part.length; i++) {
          this.values[row * n_columns + part[i]!]! += found[row * width + from + i]!;
        }
      }
      from += part.length;
    }
  }
}
