/** Attention: what heads of a layer carry from sources to targets, of the values of the ones and the gradients of the others. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D, Tensor3D, Tensor4D } from '../backend/backend.ts';
import type { AttentionMap } from '../attribution/attention-map.ts';
import type { LayerValues } from './stored-values.ts';
import { allQueries, type HeadQueries, type TargetBatch } from './target-walk.ts';

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
  /** What `queriesByKey` gave: `first` is made of it. */
  readonly byKey?: readonly Tensor4D[] | undefined;
}

/** What meets at a layer. */
interface Meeting {
  readonly attention: AttentionMap;
  readonly batch: TargetBatch;
  readonly queries: HeadQueries;
  readonly values: LayerValues;
}

/** Products of many targets and sources, [n_heads, cells], and the cell of a pair. */
interface Table {
  readonly products: Tensor2D;
  readonly cell: (row: number, block: number, rank: number) => number;
}

/** Undefined where no pair has begun. */
export async function headProducts(
  attention: AttentionMap,
  pairs: Pairs,
  batch: TargetBatch,
  queries: HeadQueries,
  values: LayerValues,
  { kinds, byKey }: ProductsOptions,
): Promise<HeadProducts | undefined> {
  const begun = begunPairs(pairs, batch, queries.cut.shape[0], values);
  if (begun.length === 0) return undefined;
  const meeting = { attention, batch, queries, values };
  const make: Record<PathKind, () => Table> = {
    through: () => throughHeads(meeting),
    last: () => lastAt(meeting),
    first: () => firstAt(meeting, byKey!),
    only: () => onlyAt(meeting),
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
  { positions }: TargetBatch,
  n: number,
  { layout }: LayerValues,
): Int32Array {
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

/**
 * Gradients at what heads take, as they reach the values of each key, [n_heads, n_pos, n, d_head]: of the rows under way and of those that
 * start at the layer, as far as there are any. Dispose them after use.
 */
export function queriesByKey(attention: AttentionMap, { n_pos, underWay, started }: HeadQueries): Tensor4D[] {
  const { n_heads, d_head } = attention;
  return tf.tidy(() => {
    const shares = tf.slice<tf.Rank.R3, Tensor3D>(attention.patternByHead(), [0, 0, 0], [-1, -1, n_pos]);
    const parts: Tensor4D[] = [];
    if (underWay) {
      const [, n] = underWay.shape;
      const split = tf.transpose(tf.reshape(underWay, [n_pos, n, n_heads, d_head]), [2, 0, 1, 3]);
      const all = tf.reshape<tf.Rank.R3>(split, [n_heads, n_pos, n * d_head]);
      const above = tf.slice<tf.Rank.R3, Tensor3D>(shares, [0, 0, 0], [-1, n_pos, -1]);
      parts.push(tf.reshape<tf.Rank.R4>(tf.matMul(above, all, true), [n_heads, n_pos, n, d_head]));
    }
    if (started) {
      const { z, positions } = started;
      const own = tf.gather(shares, tf.tensor1d(positions, 'int32'), 1); // [n_heads, n, n_pos]
      parts.push(tf.mul(tf.expandDims(tf.transpose(own, [0, 2, 1]), 3), tf.expandDims(byHead(z, d_head), 1)));
    }
    return parts;
  });
}

/** Rows [n, some heads · d_head] by head, [heads, n, d_head]. */
function byHead(rows: Tensor2D, d_head: number): Tensor3D {
  return tf.transpose(tf.reshape<tf.Rank.R3>(rows, [rows.shape[0], -1, d_head]), [1, 0, 2]);
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
    sum = tf.tidy(() => {
      const z = tf.slice<tf.Rank.R3, Tensor3D>(all, [query, 0, 0], [1, -1, -1]);
      const products = tf.matMul(byHead(tf.squeeze<Tensor2D>(z, [0]), d_head), here, false, true);
      const rest = layout.n_sources - here.shape[1];
      return tf.add<Tensor3D>(
        sum,
        rest === 0
          ? products
          : tf.pad(products, [
              [0, 0],
              [0, 0],
              [0, rest],
            ]),
      );
    });
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

/** Gradients that reached the values of each key with what sources are at their own positions: one product for all keys. */
function firstAt({ attention, values }: Meeting, byKey: readonly Tensor4D[]): Table {
  const { n_heads } = attention;
  const n_pos = byKey[0]!.shape[1];
  const { own, width, offsets } = ownByKey(attention, values, n_pos);
  const starts: number[] = [];
  const counts = byKey.map(({ shape: [, , n] }) => n);
  let n_cells = 0;
  const parts = byKey.map((z, part) => {
    const n = counts[part]!;
    starts.push(n_cells);
    n_cells += n_pos * n * width;
    const products = tf.matMul(tf.reshape<tf.Rank.R3>(z, [n_heads * n_pos, n, -1]), own, false, true);
    return tf.reshape<tf.Rank.R2>(products, [n_heads, n_pos * n * width]);
  });
  const keys = values.layout.blocks.map(({ group }) => group.firstPosition);
  return {
    products: parts.length === 1 ? parts[0]! : tf.concat<Tensor2D>(parts, 1),
    cell(row, block, rank) {
      const part = row < counts[0]! ? 0 : 1;
      const rowOfPart = part === 0 ? row : row - counts[0]!;
      return starts[part]! + (keys[block]! * counts[part]! + rowOfPart) * width + offsets[block]! + rank;
    },
  };
}

/** What sources are at their own positions, by key, [n_heads · n_pos, width, d_head]: filled up with zeros to one number a key. */
function ownByKey({ n_heads, n_kv_heads, d_head }: AttentionMap, values: LayerValues, n_pos: number) {
  const { blocks } = values.layout;
  const counts = new Int32Array(n_pos);
  /** Of each block, what is before it at its key. */
  const offsets = blocks.map(({ group: { firstPosition }, n }) => {
    if (firstPosition >= n_pos) return 0;
    counts[firstPosition]! += n;
    return counts[firstPosition]! - n;
  });
  const width = counts.reduce((most, count) => Math.max(most, count), 0);
  const index = new Int32Array(n_pos * width);
  blocks.forEach(({ group: { firstPosition }, n, first }, block) => {
    if (firstPosition >= n_pos) return;
    const to = firstPosition * width + offsets[block]!;
    for (let rank = 0; rank < n; rank++) index[to + rank] = first + rank + 1;
  });
  const zeros = tf.zeros<tf.Rank.R2>([1, n_kv_heads * d_head]);
  const rows = tf.gather(tf.concat<Tensor2D>([zeros, values.own!]), tf.tensor1d(index, 'int32'));
  const heads = Int32Array.from({ length: n_heads }, (_, head) => Math.floor((head * n_kv_heads) / n_heads));
  const own = tf.gather(byHead(rows, d_head), tf.tensor1d(heads, 'int32'));
  return { own: tf.reshape<tf.Rank.R3>(own, [n_heads * n_pos, width, d_head]), width, offsets };
}

/** Gradients with attention cut with sources at their own positions, through the one entry of the pattern between them. */
function onlyAt({ attention, batch, queries, values }: Meeting): Table {
  const { n_heads, n_kv_heads, d_head } = attention;
  const n = queries.cut.shape[0];
  const m = values.layout.n_sources;
  const z = tf.reshape<tf.Rank.R3>(byHead(queries.cut, d_head), [
    n_kv_heads,
    (n_heads / n_kv_heads) * n,
    d_head,
  ]);
  const products = tf.matMul(z, byHead(values.own!, d_head), false, true);
  const atQueries = tf.gather(
    attention.patternByHead(),
    tf.tensor1d(batch.positions.subarray(0, n), 'int32'),
    1,
  );
  const shares = tf.gather(atQueries, tf.tensor1d(values.layout.ownPositions(), 'int32'), 2);
  return wholeTable(tf.mul(tf.reshape<tf.Rank.R3>(products, [n_heads, n, m]), shares), values);
}

/** Of products of all rows with all sources, [n_heads, n, n_sources]. */
function wholeTable(products: Tensor3D, { layout }: LayerValues): Table {
  const [n_heads, n, m] = products.shape;
  return {
    products: tf.reshape(products, [n_heads, n * m]),
    cell: (row, block, rank) => row * m + layout.blocks[block]!.first + rank,
  };
}
