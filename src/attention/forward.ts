/** Attention: the walk of what sources write, forwards through the linear model; rows join where they begin to write. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D, Tensor3D } from '../backend/backend.ts';
import type { AttentionMap } from '../attribution/attention-map.ts';
import { yieldToEventLoop } from '../backend/event-loop.ts';
import type { ForwardBatch } from './forward-batch.ts';
import type { TracedPrompt } from './traced-prompt.ts';
import { BatchWrites } from './writes.ts';

/** Parts of the residual stream at hook_resid_pre of a layer. They stay the walk's. */
export interface ForwardRows {
  /** Of the first rows of the batch, those that have begun to write, [n_pos - firstPosition, n, d_model]. */
  readonly x: Tensor3D;
  /** The same with all attention cut, at the source's own position only, [n, d_model]; null unless it was asked for. */
  readonly own: Tensor2D | null;
  /** Values of `x`; null at `stop` unless they were asked for. */
  readonly values: Tensor3D | null;
}

export interface ForwardOptions {
  /** The last layer before which rows are wanted. */
  readonly stop: number;
  /** Positions from which on nothing is wanted. */
  readonly n_pos: number;
  /** At `stop` rows are wanted at these positions alone; what they are elsewhere is not computed to the end. */
  readonly reads?: readonly number[];
  /** Gives values at `stop` too. */
  readonly withValues?: boolean;
  /** Walks with all attention cut too. Sources without a position cannot be in the batch then. */
  readonly withOwn?: boolean;
}

/** Calls `visit` before each layer up to `stop` as soon as any row has begun. */
export async function walkForth(
  prompt: TracedPrompt,
  batch: ForwardBatch,
  { stop, n_pos, reads, withOwn = false, withValues = false }: ForwardOptions,
  visit: (layer: number, rows: ForwardRows) => Promise<void>,
): Promise<void> {
  const { linear, signal } = prompt;
  const writes = new BatchWrites(prompt, batch, n_pos);
  const p0 = batch.firstPosition;
  let x: Tensor3D | undefined;
  let own: Tensor2D | undefined;
  try {
    const start = await writes.embedding();
    [x, own] = [start?.all, withOwn ? start?.own : discard(start?.own)];
    for (let layer = 0; layer <= stop; layer++) {
      await yieldToEventLoop();
      signal?.throwIfAborted();
      const isLast = layer === stop;
      const attended: Tensor3D | undefined = x
        ? await attendedBy(
            prompt,
            layer,
            p0,
            { x, own: own ?? null },
            { withValues, isLast, ...(reads && layer === stop - 1 && { reads }) },
            visit,
          )
        : undefined;
      const n = writes.begun(layer);
      if (isLast || n === 0) continue;
      const wrote = await writes.at(layer, n);
      using skip = await linear.skip(layer);
      const [before, alone]: [Tensor3D | undefined, Tensor2D | undefined] = [x, own];
      try {
        x = tf.tidy(() => {
          const pre = grown3(before, n, wrote.shape);
          const added = tf.addN<Tensor3D>([
            pre,
            ...(attended ? [grown3(attended, n, wrote.shape)] : []),
            ...(wrote.attended ? [wrote.attended] : []),
          ]);
          const parts = [
            ...(wrote.all ? [wrote.all] : []),
            ...(skip ? [skip.forth(linear.isParallel ? pre : added, p0)] : []),
          ];
          return parts.length === 0
            ? added
            : tf.add<Tensor3D>(added, linear.written(layer, tf.addN(parts), p0));
        });
        if (withOwn) {
          own = tf.tidy(() => {
            const pre = grown2(alone, n, wrote.shape[2]);
            const positions = writes.positions.subarray(0, n);
            const parts = [
              ...(wrote.own ? [wrote.own] : []),
              ...(skip ? [skip.forthEach(positions, pre)] : []),
            ];
            return parts.length === 0
              ? pre
              : tf.add<Tensor2D>(pre, linear.writtenEach(layer, positions, tf.addN(parts)));
          });
        }
      } finally {
        attended?.dispose();
        wrote[Symbol.dispose]();
        before?.dispose();
        if (withOwn) alone?.dispose();
      }
    }
  } finally {
    if (x && !x.isDisposed) x.dispose();
    if (own && !own.isDisposed) own.dispose();
  }
}

interface Wanted {
  readonly withValues: boolean;
  readonly isLast: boolean;
  readonly reads?: readonly number[];
}

/** What attention adds at some positions, zeros elsewhere. Inside a tidy. */
function outputAt(
  attention: AttentionMap,
  mixed: Tensor3D,
  first: number,
  reads: readonly number[],
): Tensor3D {
  const [n_places, n] = mixed.shape;
  const places = reads.map((position) => position - first).filter((place) => place >= 0 && place < n_places);
  const { d_model } = attention;
  if (places.length === 0) return tf.zeros([n_places, n, d_model]);
  const added = attention.output(tf.gather<Tensor3D>(mixed, tf.tensor1d(places, 'int32')));
  const index = Int32Array.from({ length: n_places }, (_, place) => places.indexOf(place) + 1);
  const padded = tf.concat<Tensor3D>([tf.zeros<tf.Rank.R3>([1, n, d_model]), added]);
  return tf.gather<Tensor3D>(padded, tf.tensor1d(index, 'int32'));
}

/** Shows rows to the visitor; what attention of the layer adds of them, in memory of its own, unless nothing follows. */
async function attendedBy(
  { linear }: TracedPrompt,
  layer: number,
  first: number,
  rows: Omit<ForwardRows, 'values'>,
  { withValues, isLast, reads }: Wanted,
  visit: (layer: number, rows: ForwardRows) => Promise<void>,
): Promise<Tensor3D | undefined> {
  if (isLast && !withValues) {
    await visit(layer, { ...rows, values: null });
    return undefined;
  }
  using attention = await linear.attention(layer);
  const values = attention.values(rows.x);
  try {
    await visit(layer, { ...rows, values });
    if (isLast) return undefined;
    return tf.tidy(() => {
      const mixed = attention.mixed(values, first);
      return reads ? outputAt(attention, mixed, first, reads) : attention.output(mixed);
    });
  } finally {
    values.dispose();
  }
}

function discard(tensor: Tensor2D | undefined): undefined {
  tensor?.dispose();
}

/** x with rows of zeros behind it until there are n. Inside a tidy. */
function grown3(x: Tensor3D | undefined, n: number, shape: readonly [number, number, number]): Tensor3D {
  if (!x) return tf.zeros([shape[0], n, shape[2]]);
  const more = n - x.shape[1];
  return more === 0 ? x.clone() : tf.concat([x, tf.zeros<tf.Rank.R3>([shape[0], more, shape[2]])], 1);
}

function grown2(x: Tensor2D | undefined, n: number, d_model: number): Tensor2D {
  if (!x) return tf.zeros([n, d_model]);
  const more = n - x.shape[0];
  return more === 0 ? x.clone() : tf.concat([x, tf.zeros<tf.Rank.R2>([more, d_model])], 0);
}
