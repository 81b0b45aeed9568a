/** Attention: what heads of a layer carry from sources to targets, of the values of the ones and the gradients of the others. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D, Tensor3D, Tensor4D } from '../backend/backend.ts';
import type { AttentionMap } from '../attribution/attention-map.ts';
import type { StoredValues } from './stored-values.ts';
import type { HeadQueries, TargetBatch } from './target-walk.ts';

/**
 * Paths from a source to a target by what they owe a head: they use it anywhere (what the link loses with the head), it is the last one,
 * the first one, the only one.
 */
export const PATH_KINDS = ['last', 'first', 'through', 'only'] as const;
export type PathKind = (typeof PATH_KINDS)[number];

/** Rows of a batch of targets and sources of a store, by their places: a pair has one of each. */
export interface Pairs {
  readonly rows: Int32Array;
  readonly columns: Int32Array;
}

export interface HeadProducts {
  /** Those of which both have begun, by their place in the list asked for. */
  readonly pairs: Int32Array;
  /** Each kind asked for, [n_heads, pairs]. */
  readonly values: ReadonlyMap<PathKind, Float32Array>;
}

export interface ProductsOptions {
  /** `through` is the most work, n_pos times that of `first`. For `first` and `only` the store has its sources with attention cut. */
  readonly kinds: readonly PathKind[];
  /** What `queriesByKey` gave: `first` is made of it. */
  readonly byKey?: Tensor4D | undefined;
}

/** Undefined where no pair has begun, or all sources are behind the targets. */
export async function headProducts(
  attention: AttentionMap,
  pairs: Pairs,
  batch: TargetBatch,
  queries: HeadQueries,
  store: StoredValues,
  layer: number,
  { kinds, byKey }: ProductsOptions,
): Promise<HeadProducts | undefined> {
  const values = store.at(layer);
  const p0 = store.firstPosition;
  if (!values || p0 >= batch.n_pos) return undefined;
  const m = values.all.shape[1];
  const n = queries.cut.shape[0];
  const { begun, places } = begunPairs(pairs, n, m);
  if (begun.length === 0) return undefined;
  const positions = store.positions.subarray(0, m);
  const reached = (): Tensor3D => tf.slice(values.all, [0, 0, 0], [batch.n_pos - p0, -1, -1]);
  const make: Record<PathKind, () => Tensor3D> = {
    through: () => throughHeads(attention, queries.all, reached(), p0),
    last: () => lastAt(attention, batch, queries.cut, reached(), p0),
    first: () => firstAt(attention, byKey!, positions, values.own!),
    only: () => onlyAt(attention, batch, queries.cut, positions, values.own!),
  };
  const found = new Map<PathKind, Float32Array>();
  for (const kind of kinds) {
    const ofPairs = tf.tidy(() =>
      tf.gather(
        tf.reshape<tf.Rank.R2>(make[kind](), [attention.n_heads, n * m]),
        tf.tensor1d(places, 'int32'),
        1,
      ),
    );
    found.set(kind, await ofPairs.data<'float32'>());
    ofPairs.dispose();
  }
  return { pairs: begun, values: found };
}

/** Pairs of the first n rows and m columns, by their place in the list, and their places among all n × m. */
function begunPairs({ rows, columns }: Pairs, n: number, m: number) {
  const begun = new Int32Array(rows.length);
  const places = new Int32Array(rows.length);
  let count = 0;
  for (let i = 0; i < rows.length; i++) {
    const [row, column] = [rows[i]!, columns[i]!];
    if (row >= n || column >= m) continue;
    begun[count] = i;
    places[count++] = row * m + column;
  }
  return { begun: begun.subarray(0, count), places: places.subarray(0, count) };
}

/**
 * Gradients z [n_pos, n, n_heads · d_head] at what heads take, as they reach the values of each key: [n_heads, n_pos, n, d_head].
 * Dispose them after use.
 */
export function queriesByKey(attention: AttentionMap, z: Tensor3D): Tensor4D {
  const { n_heads, d_head } = attention;
  const [n_pos, n] = z.shape;
  return tf.tidy(() => {
    const byHead = tf.transpose(tf.reshape(z, [n_pos, n, n_heads, d_head]), [2, 0, 1, 3]);
    const all = tf.reshape<tf.Rank.R3>(byHead, [n_heads, n_pos, n * d_head]);
    const shares = tf.slice<tf.Rank.R3, Tensor3D>(attention.patternByHead(), [0, 0, 0], [-1, n_pos, n_pos]);
    return tf.reshape<tf.Rank.R4>(tf.matMul(shares, all, true), [n_heads, n_pos, n, d_head]);
  });
}

function throughHeads(attention: AttentionMap, all: Tensor3D, reached: Tensor3D, p0: number): Tensor3D {
  const z = byHead(attention, tf.slice<tf.Rank.R3, Tensor3D>(all, [p0, 0, 0]));
  return tf.matMul(z, byHead(attention, attention.mixed(reached, p0)), false, true);
}

/** [pos, n, n_heads · d_head] to [n_heads, n, pos · d_head]. */
function byHead({ n_heads, d_head }: AttentionMap, x: Tensor3D): Tensor3D {
  const [n_pos, n] = x.shape;
  const split = tf.transpose(tf.reshape(x, [n_pos, n, n_heads, d_head]), [2, 1, 0, 3]);
  return tf.reshape(split, [n_heads, n, n_pos * d_head]);
}

/** Of cut [n, n_heads · d_head], at the position of each target, with what heads take there of values [pos, m, n_kv_heads · d_head]. */
function lastAt(
  attention: AttentionMap,
  { positions }: TargetBatch,
  cut: Tensor2D,
  reached: Tensor3D,
  p0: number,
): Tensor3D {
  const { n_heads } = attention;
  const m = reached.shape[1];
  const values = attention.valuesByHead(reached);
  return inParts(positions.subarray(0, cut.shape[0]), 1, (position, rows) => {
    if (position < p0) return tf.zeros([n_heads, rows.length, m]);
    const z = byHead(attention, tf.expandDims<Tensor3D>(tf.gather(cut, tf.tensor1d(rows, 'int32')), 0));
    return tf.matMul(z, attention.mixedAt(values, position, p0), false, true);
  });
}

/** Of gradients that reached the values of each key with what sources are at their own positions, own [m, n_kv_heads · d_head]. */
function firstAt(attention: AttentionMap, byKey: Tensor4D, positions: Int32Array, own: Tensor2D): Tensor3D {
  const { n_heads, n_kv_heads, d_head } = attention;
  const [, n_pos, n] = byKey.shape;
  const [m] = own.shape;
  const values = tf.transpose(tf.reshape(own, [m, n_kv_heads, d_head]), [1, 0, 2]);
  return inParts(positions, 2, (position, sources) => {
    if (position >= n_pos) return tf.zeros([n_heads, n, sources.length]);
    const z = tf.reshape<tf.Rank.R3>(tf.slice(byKey, [0, position, 0, 0], [-1, 1, -1, -1]), [
      n_kv_heads,
      (n_heads / n_kv_heads) * n,
      d_head,
    ]);
    const these = sources.length === m ? values : tf.gather(values, tf.tensor1d(sources, 'int32'), 1);
    return tf.reshape<tf.Rank.R3>(tf.matMul(z, these, false, true), [n_heads, n, sources.length]);
  });
}

/** Of cut [n, n_heads · d_head] with own [m, n_kv_heads · d_head], through the one entry of the pattern between their positions. */
function onlyAt(
  attention: AttentionMap,
  batch: TargetBatch,
  cut: Tensor2D,
  positions: Int32Array,
  own: Tensor2D,
): Tensor3D {
  const { n_heads, n_kv_heads, d_head } = attention;
  const [[n], [m]] = [cut.shape, own.shape];
  const z = tf.reshape<tf.Rank.R3>(tf.transpose(tf.reshape(cut, [n, n_heads, d_head]), [1, 0, 2]), [
    n_kv_heads,
    (n_heads / n_kv_heads) * n,
    d_head,
  ]);
  const values = tf.transpose(tf.reshape(own, [m, n_kv_heads, d_head]), [1, 0, 2]);
  const products = tf.reshape<tf.Rank.R3>(tf.matMul(z, values, false, true), [n_heads, n, m]);
  const atQueries = tf.gather(
    attention.patternByHead(),
    tf.tensor1d(batch.positions.subarray(0, n), 'int32'),
    1,
  );
  return tf.mul(products, tf.gather(atQueries, tf.tensor1d(positions, 'int32'), 2));
}

/** Joins, in the order of `positions`, what is made of those of one position at a time. Inside a tidy. */
function inParts(
  positions: Int32Array,
  axis: 1 | 2,
  make: (position: number, places: Int32Array) => Tensor3D,
): Tensor3D {
  const all = [...new Set(positions)];
  if (all.length === 1) return make(all[0]!, Int32Array.from(positions.keys()));
  const groups = all.map((position) =>
    Int32Array.from(positions.keys()).filter((place) => positions[place] === position),
  );
  const back = new Int32Array(positions.length);
  groups.flatMap((places) => [...places]).forEach((place, at) => (back[place] = at));
  const parts = groups.map((places, i) => make(all[i]!, places));
  return tf.gather<Tensor3D>(tf.concat<Tensor3D>(parts, axis), tf.tensor1d(back, 'int32'), axis);
}
