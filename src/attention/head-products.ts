/** Attention: what heads of a layer carry from sources to targets, of the values of the ones and the gradients of the others. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D, Tensor3D, Tensor4D } from '../backend/backend.ts';
import type { LayerValues } from './stored-values.ts';
import { firstAt, onlyAt } from './first-products.ts';
import { byHead, type Meeting, type Table } from './meeting.ts';
import { allQueries } from './target-walk.ts';

/**
 * Paths from a source to a target by what they owe a head: they use it anywhere (what the link loses with the head), it is the last one,
 * the first one, the only one.
 */
export const PATH_KINDS = ['last', 'first', 'through', 'only'] as const;
export type PathKind = (typeof PATH_KINDS)[number];

/** Rows of a batch of targets, and sources of a store by their block and their rank in it: a pair has one of each. */
export interface Pairs {
  readonly rows: Int32Array;
  readonly blocks: Int32Array;
  readonly ranks: Int32Array;
}

export interface HeadProducts {
  /** Those of which both have begun, and the source reaches the target; by their place in the list asked for. */
  readonly pairs: Int32Array;
  /** Each kind asked for, [n_heads, pairs]. */
  readonly values: ReadonlyMap<PathKind, Float32Array>;
}

export interface ProductsOptions {
  /** `through` is the most work, n_pos times that of `first`, and takes all queries of the store. */
  readonly kinds: readonly PathKind[];
  /** What `queriesByKey` gave of the rows under way: `first` is made of it. */
  readonly byKey?: Tensor4D | undefined;
}

/** Undefined where no pair has begun. */
export async function headProducts(
  meeting: Meeting,
  pairs: Pairs,
  { kinds, byKey }: ProductsOptions,
): Promise<HeadProducts | undefined> {
  const begun = begunPairs(pairs, meeting);
  if (begun.length === 0) return undefined;
  const make: Record<PathKind, () => Table> = {
    through: () => throughHeads(meeting),
    last: () => lastAt(meeting),
    first: () => firstAt(meeting, byKey),
    only: () => wholeTable(onlyAt(meeting), meeting.values),
  };
  const found = new Map<PathKind, Float32Array>();
  for (const kind of kinds) {
    const ofPairs = tf.tidy(() => {
      const { products, cell } = make[kind]();
      const cells = begun.map((i) => cell(pairs.rows[i]!, pairs.blocks[i]!, pairs.ranks[i]!));
      return tf.gather(products, tf.tensor1d(cells, 'int32'), 1);
    });
    found.set(kind, await ofPairs.data<'float32'>());
    ofPairs.dispose();
  }
  return { pairs: begun, values: found };
}

/** A graph has many pairs, and they are asked at each layer. */
function begunPairs(
  { rows, blocks, ranks }: Pairs,
  { batch: { positions }, queries, values: { layout } }: Meeting,
): Int32Array {
  const n = queries.cut.shape[0];
  const firsts = layout.blocks.map(({ group }) => group.firstPosition);
  const begun = layout.blocks.map((block) => block.n);
  const found = new Int32Array(rows.length);
  let count = 0;
  for (let i = 0; i < rows.length; i++) {
    const [row, block] = [rows[i]!, blocks[i]!];
    if (row < n && ranks[i]! < begun[block]! && firsts[block]! <= positions[row]!) found[count++] = i;
  }
  return found.subarray(0, count);
}

/** Gradients at all queries with what heads take there. */
function throughHeads({ attention, batch, queries, values }: Meeting): Table {
  const { n_heads, d_head } = attention;
  const all = allQueries(queries);
  const [, n] = all.shape;
  const { layout, taken } = values;
  let sum = tf.zeros<tf.Rank.R3>([n_heads, n, layout.n_sources]);
  for (let query = 0; query < batch.n_pos; query++) {
    const here = taken.get(query);
    if (!here) continue; // no source reaches it
    const before = sum;
    sum = tf.tidy(() => {
      const z = tf.slice<tf.Rank.R3, Tensor3D>(all, [query, 0, 0], [1, -1, -1]);
      const products = tf.matMul(byHead(tf.squeeze<Tensor2D>(z, [0]), d_head), here, false, true);
      const rest: [number, number] = [0, layout.n_sources - here.shape[1]];
      return tf.add<Tensor3D>(before, rest[1] === 0 ? products : tf.pad(products, [[0, 0], [0, 0], rest]));
    });
    before.dispose(); // of many positions they would fill the memory until the end of the tidy around
  }
  return wholeTable(sum, values);
}

/** Gradients with attention cut, at the position of each target, with what heads take there. */
function lastAt({ attention, batch, queries, values }: Meeting): Table {
  const { n_heads, d_head } = attention;
  const cut = byHead(queries.cut, d_head);
  const { layout, taken } = values;
  const starts = new Int32Array(cut.shape[1]);
  const parts: Tensor2D[] = [];
  let n_cells = 0;
  for (const [query, rows] of rowsByPosition(batch.positions.subarray(0, starts.length))) {
    const here = taken.get(query);
    if (!here) continue; // no source reaches it
    const n = here.shape[1];
    const products = tf.matMul(tf.gather(cut, tf.tensor1d(rows, 'int32'), 1), here, false, true);
    parts.push(tf.reshape(products, [n_heads, rows.length * n]));
    rows.forEach((row, i) => (starts[row] = n_cells + i * n));
    n_cells += rows.length * n;
  }
  return {
    products: tf.concat<Tensor2D>(parts, 1),
    cell: (row, block, rank) => starts[row]! + layout.blocks[block]!.first + rank,
  };
}

function rowsByPosition(positions: Int32Array): Map<number, number[]> {
  const rows = new Map<number, number[]>();
  positions.forEach((position, row) => {
    const own = rows.get(position);
    if (own) own.push(row);
    else rows.set(position, [row]);
  });
  return rows;
}

/** Of products of all rows with all sources, [n_heads, n, n_sources]. */
function wholeTable(products: Tensor3D, { layout }: LayerValues): Table {
  const [n_heads, n, m] = products.shape;
  return {
    products: tf.reshape(products, [n_heads, n * m]),
    cell: (row, block, rank) => row * m + layout.blocks[block]!.first + rank,
  };
}
