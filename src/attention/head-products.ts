/** Attention: what heads of a layer carry from sources to targets, of the values of the ones and the gradients of the others. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D, Tensor3D } from '../backend/backend.ts';
import type { AttentionMap } from '../attribution/attention-map.ts';
import { atPositions } from '../attribution/walk.ts';
import type { StoredValues } from './stored-values.ts';
import type { HeadQueries, TargetBatch } from './target-walk.ts';

/** By head, target and source, [n_heads, n, m] each; m of the sources have begun to write. */
export interface HeadProducts {
  readonly n: number;
  readonly m: number;
  readonly through: Float32Array;
  readonly last: Float32Array;
  /** Null where sources are not walked with attention cut. */
  readonly first: Float32Array | null;
  readonly only: Float32Array | null;
}

/** Undefined where nothing has been written yet, or all of it is behind the targets. */
export async function headProducts(
  attention: AttentionMap,
  batch: TargetBatch,
  queries: HeadQueries,
  store: StoredValues,
  layer: number,
): Promise<HeadProducts | undefined> {
  const values = store.at(layer);
  const p0 = store.firstPosition;
  if (!values || p0 >= batch.n_pos) return undefined;
  const m = values.all.shape[1];
  const n = queries.cut.shape[0];
  const places = batch.n_pos - p0;
  const made = tf.tidy(() => {
    const z = byHead(attention, tf.slice<tf.Rank.R3, Tensor3D>(queries.all, [p0, 0, 0]));
    const reached = (x: Tensor3D): Tensor3D => tf.slice(x, [0, 0, 0], [places, -1, -1]);
    const mixed = attention.mixed(reached(values.all), p0);
    const through = tf.matMul(z, byHead(attention, mixed), false, true);
    const last = atTargets(attention, batch, queries.cut, mixed, p0);
    if (!values.own) return { through, last };
    const own = attention.mixed(
      reached(
        atPositions(
          store.positions.subarray(0, m).map((position) => position - p0),
          values.all.shape[0],
          values.own,
        ),
      ),
      p0,
    );
    return {
      through,
      last,
      first: tf.matMul(z, byHead(attention, own), false, true),
      only: atTargets(attention, batch, queries.cut, own, p0),
    };
  });
  const read = async (tensor: tf.Tensor | undefined): Promise<Float32Array | null> => {
    if (!tensor) return null;
    const numbers = await tensor.data<'float32'>();
    tensor.dispose();
    return numbers;
  };
  const [through, last] = [(await read(made.through))!, (await read(made.last))!];
  return { n, m, through, last, first: await read(made.first), only: await read(made.only) };
}

/** [pos, n, n_heads · d_head] to [n_heads, n, pos · d_head]. */
function byHead({ n_heads, d_head }: AttentionMap, x: Tensor3D): Tensor3D {
  const [n_pos, n] = x.shape;
  const split = tf.transpose(tf.reshape(x, [n_pos, n, n_heads, d_head]), [2, 1, 0, 3]);
  return tf.reshape(split, [n_heads, n, n_pos * d_head]);
}

/** Products at the position of each target: of cut [n, n_heads · d_head] with mixed [pos, m, n_heads · d_head]; [n_heads, n, m]. */
function atTargets(
  attention: AttentionMap,
  { positions }: TargetBatch,
  cut: Tensor2D,
  mixed: Tensor3D,
  p0: number,
): Tensor3D {
  const { n_heads } = attention;
  const [, m, width] = mixed.shape;
  const own = positions.subarray(0, cut.shape[0]);
  const order: number[] = [];
  const parts: Tensor3D[] = [];
  for (const position of new Set(own)) {
    const rows = Array.from(own.keys()).filter((row) => own[row] === position);
    for (const row of rows) order.push(row);
    if (position < p0) {
      parts.push(tf.zeros([n_heads, rows.length, m]));
      continue;
    }
    const z = byHead(attention, tf.expandDims<Tensor3D>(tf.gather(cut, tf.tensor1d(rows, 'int32')), 0));
    const values = byHead(
      attention,
      tf.slice<tf.Rank.R3, Tensor3D>(mixed, [position - p0, 0, 0], [1, m, width]),
    );
    parts.push(tf.matMul(z, values, false, true));
  }
  const back = new Int32Array(order.length);
  order.forEach((row, place) => (back[row] = place));
  return tf.gather<Tensor3D>(tf.concat<Tensor3D>(parts, 1), tf.tensor1d(back, 'int32'), 1);
}
