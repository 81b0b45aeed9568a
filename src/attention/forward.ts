/** Attention: the walk of what sources write, forwards through the linear model; rows join where they begin to write. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../backend/backend.ts';
import type { AttentionMap } from '../attribution/attention-map.ts';
import type { LinearModel, SkipMap } from '../attribution/linear-model.ts';
import { yieldToEventLoop } from '../backend/event-loop.ts';
import type { ForwardBatch } from './forward-batch.ts';
import { RowLayout } from './row-layout.ts';
import type { TracedPrompt } from './traced-prompt.ts';
import { BatchWrites, type Writes } from './writes.ts';

/** Sources that have begun, at hook_resid_pre of a layer. They stay the walk's. */
export interface ResidualRows {
  readonly layout: RowLayout;
  /** [n_rows, d_model] */
  readonly x: Tensor2D;
  /** The same with all attention cut, at their own positions, [n_sources, d_model], 0 of spread ones; null unless it was asked for. */
  readonly own: Tensor2D | null;
}

/** What heads of a layer get of them. It stays the walk's. */
export interface HeadRows {
  readonly layout: RowLayout;
  /** Values by key, without the divisor of ln1, [n_rows, n_kv_heads · d_head]. */
  readonly values: Tensor2D;
  /** What heads take of them by query, [n_rows, n_heads · d_head]. */
  readonly mixed: Tensor2D;
  /** Values of the sources with all attention cut, [n_sources, n_kv_heads · d_head]. */
  readonly own: Tensor2D | null;
}

export interface ForwardOptions {
  /** The last layer that is visited. */
  readonly stop: number;
  /** At `stop` rows are wanted at these positions alone; what they are elsewhere is not computed to the end. */
  readonly reads?: readonly number[];
  /** Walks with all attention cut too. */
  readonly withOwn?: boolean;
  /** Gives what is written in the layer `stop` too. */
  readonly withLastWrites?: boolean;
}

/** `residual` and `heads` are called at a layer if any source has begun below it. */
export interface ForwardVisitor {
  /** At the embedding, with layer -1, and at each layer below `stop`. The tensors stay the walk's. */
  written?(layer: number, wrote: Writes): Promise<void>;
  residual?(layer: number, rows: ResidualRows): Promise<void>;
  heads?(layer: number, rows: HeadRows): Promise<void>;
}

export async function walkForth(
  prompt: TracedPrompt,
  batch: ForwardBatch,
  { stop, reads, withOwn = false, withLastWrites = false }: ForwardOptions,
  visitor: ForwardVisitor,
): Promise<void> {
  const { linear, signal } = prompt;
  const writes = new BatchWrites(prompt, batch);
  let rows: ResidualRows | null = null;
  let wrote: Writes = writes.embedding();
  try {
    await visitor.written?.(-1, wrote);
    for (let layer = 0; layer <= stop; layer++) {
      await yieldToEventLoop();
      signal?.throwIfAborted();
      rows = grown(rows, wrote, new RowLayout(batch, layer - 1), withOwn);
      if (rows) await visitor.residual?.(layer, rows);
      const isLast = layer === stop;
      if (isLast && !visitor.heads) return;
      const writesHere = !isLast || withLastWrites;
      using skip = writesHere ? await linear.skip(layer) : null;
      if (writesHere) {
        wrote = await writes.at(layer, skip);
        await visitor.written?.(layer, wrote);
      }
      if (!rows) continue;
      const wanted = { isLast, ...(reads && layer === stop - 1 && { reads }) };
      const added: Tensor2D | null = await attended(linear, layer, rows, wanted, visitor);
      if (added) rows = passed(linear, layer, rows, added, wrote, skip);
    }
  } finally {
    dispose(rows?.x, rows?.own, wrote.fresh, wrote.again);
  }
}

/** With what begins; disposes what it is made of. Null while nothing has begun. */
function grown(
  before: ResidualRows | null,
  { fresh }: Writes,
  layout: RowLayout,
  withOwn: boolean,
): ResidualRows | null {
  if (layout.n_sources === 0 || !fresh) return before;
  try {
    const { layout: old, x, own } = before ?? { layout: null, x: null, own: null };
    const alone = withOwn ? tf.tidy(() => layout.grownOwn(old, own, fresh)) : null;
    return { layout, x: tf.tidy(() => layout.grown(old, x, fresh)), own: alone };
  } finally {
    dispose(before?.x, before?.own, fresh);
  }
}

/** What attention of the layer adds, [n_rows, d_model], after the visitor has seen what heads get; null at the end. */
async function attended(
  linear: LinearModel,
  layer: number,
  { layout, x, own }: ResidualRows,
  { isLast, reads }: { readonly isLast: boolean; readonly reads?: readonly number[] },
  visitor: ForwardVisitor,
): Promise<Tensor2D | null> {
  using attention = await linear.attention(layer);
  const values = attention.values(x);
  let mixed: Tensor2D | undefined;
  let alone: Tensor2D | undefined;
  try {
    mixed = mixedRows(attention, layout, values);
    if (visitor.heads) {
      if (own) alone = attention.values(own);
      await visitor.heads(layer, { layout, values, mixed, own: alone ?? null });
    }
    if (isLast) return null;
    return reads ? outputAt(attention, layout, mixed, reads) : attention.output(mixed);
  } finally {
    dispose(values, mixed, alone);
  }
}

function mixedRows(attention: AttentionMap, { blocks }: RowLayout, values: Tensor2D): Tensor2D {
  return tf.tidy(() => {
    const parts = blocks
      .filter(({ n }) => n > 0)
      .map(({ group: { firstPosition, n_places }, n, start }) => {
        const own = tf.slice<tf.Rank.R2, Tensor2D>(values, [start, 0], [n * n_places, -1]);
        const taken = attention.mixed(tf.reshape<tf.Rank.R3>(own, [n, n_places, -1]), firstPosition);
        return tf.reshape<tf.Rank.R2>(taken, [n * n_places, -1]);
      });
    return parts.length === 1 ? parts[0]! : tf.concat<Tensor2D>(parts);
  });
}

/** What attention adds at some positions, zeros elsewhere. */
function outputAt(
  attention: AttentionMap,
  layout: RowLayout,
  mixed: Tensor2D,
  reads: readonly number[],
): Tensor2D {
  const rows = Int32Array.from(reads.flatMap((position) => [...layout.rowsAt(position)]));
  return tf.tidy(() =>
    placed(attention.output(tf.gather(mixed, tf.tensor1d(rows, 'int32'))), rows, layout.n_rows),
  );
}

/** Rows at hook_resid_pre of the next layer, without those that begin there. Disposes what they are made of, but for `wrote.fresh`. */
function passed(
  linear: LinearModel,
  layer: number,
  { layout, x, own }: ResidualRows,
  added: Tensor2D,
  { again, writers }: Writes,
  skip: SkipMap | null,
): ResidualRows {
  const through = (positions: Int32Array, from: Tensor2D): Tensor2D =>
    linear.writtenEach(layer, positions, skip!.forthEach(positions, from));
  try {
    return {
      layout,
      x: tf.tidy(() => {
        const mid = tf.add<Tensor2D>(x, added);
        const parts = [
          ...(skip ? [through(layout.positions(), linear.isParallel ? x : mid)] : []),
          ...(again ? [placed(again, layout.ownRows(writers), layout.n_rows)] : []),
        ];
        return parts.length > 0 ? tf.addN([mid, ...parts]) : mid;
      }),
      own:
        own &&
        tf.tidy(() => {
          const parts = [
            ...(skip ? [through(layout.ownPositions(), own)] : []),
            ...(again ? [placed(again, layout.places(writers), layout.n_sources)] : []),
          ];
          return parts.length > 0 ? tf.addN([own, ...parts]) : own.clone();
        }),
    };
  } finally {
    dispose(x, own, added, again);
  }
}

/** Vectors [n, d] in their rows, zeros elsewhere. Inside a tidy. */
function placed(vectors: Tensor2D, rows: Int32Array, n_rows: number): Tensor2D {
  const index = new Int32Array(n_rows);
  rows.forEach((row, i) => (index[row] = i + 1));
  const all = tf.concat<Tensor2D>([tf.zeros<tf.Rank.R2>([1, vectors.shape[1]]), vectors]);
  return tf.gather(all, tf.tensor1d(index, 'int32'));
}

function dispose(...tensors: readonly (Tensor2D | null | undefined)[]): void {
  for (const tensor of tensors) if (tensor && !tensor.isDisposed) tensor.dispose();
}
