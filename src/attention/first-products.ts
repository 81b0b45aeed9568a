/** Attention: what the first heads of paths carry, and the only ones. Sources are on their own at the keys. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D, Tensor3D, Tensor4D } from '../backend/backend.ts';
import type { AttentionMap } from '../attribution/attention-map.ts';
import { byHead, type Meeting, type Table } from './meeting.ts';
import type { LayerValues } from './stored-values.ts';

/** Gradients z [n_pos, n, n_heads · d_head] at what heads take, as they reach the values of each key: [n_heads, n_pos, n, d_head]. */
export function queriesByKey(attention: AttentionMap, z: Tensor3D): Tensor4D {
  const { n_heads, d_head } = attention;
  const [n_pos, n] = z.shape;
  return tf.tidy(() => {
    const split = tf.transpose(tf.reshape(z, [n_pos, n, n_heads, d_head]), [2, 0, 1, 3]);
    const all = tf.reshape<tf.Rank.R3>(split, [n_heads, n_pos, n * d_head]);
    const shares = tf.slice<tf.Rank.R3, Tensor3D>(attention.patternByHead(), [0, 0, 0], [-1, n_pos, n_pos]);
    return tf.reshape<tf.Rank.R4>(tf.matMul(shares, all, true), [n_heads, n_pos, n, d_head]);
  });
}

/** @param byKey of the rows under way; undefined without any. Of those that start at the layer, the first head is the only one. */
export function firstAt(meeting: Meeting, byKey: Tensor4D | undefined): Table {
  const { attention, queries, values } = meeting;
  const { n_heads, n_kv_heads, d_head } = attention;
  const [, n_pos, n] = byKey?.shape ?? [0, 0, 0, 0];
  const { blocks, n_sources } = values.layout;
  const own = byHead(values.own!, d_head);
  const starts: number[] = [];
  const parts: Tensor2D[] = [];
  let n_cells = 0;
  for (const { group, n: m, first } of blocks) {
    starts.push(n_cells);
    if (m === 0 || group.firstPosition >= n_pos) continue;
    const z = tf.slice(byKey!, [0, group.firstPosition, 0, 0], [-1, 1, -1, -1]);
    const products = tf.matMul(
      tf.reshape<tf.Rank.R3>(z, [n_kv_heads, (n_heads / n_kv_heads) * n, d_head]),
      tf.slice<tf.Rank.R3, Tensor3D>(own, [0, first, 0], [-1, m, -1]),
      false,
      true,
    );
    parts.push(tf.reshape(products, [n_heads, n * m]));
    n_cells += n * m;
  }
  if (queries.started) {
    const { z, positions } = queries.started;
    parts.push(tf.reshape(inOneHop(attention, z, positions, values), [n_heads, -1]));
  }
  return {
    products: tf.concat<Tensor2D>(parts, 1),
    cell(row, block, rank) {
      const { n: m, first } = blocks[block]!;
      return row < n ? starts[block]! + row * m + rank : n_cells + (row - n) * n_sources + first + rank;
    },
  };
}

/** Of all rows with attention cut. */
export function onlyAt({ attention, batch, queries, values }: Meeting): Tensor3D {
  const { cut } = queries;
  return inOneHop(attention, cut, batch.positions.subarray(0, cut.shape[0]), values);
}

/** Gradients z [n, n_heads · d_head] at one position each with sources at theirs, through the one entry of the pattern: [n_heads, n, n_sources]. */
function inOneHop(
  attention: AttentionMap,
  z: Tensor2D,
  positions: Int32Array,
  values: LayerValues,
): Tensor3D {
  const { n_heads, n_kv_heads, d_head } = attention;
  const n = positions.length;
  const queries = tf.reshape<tf.Rank.R3>(byHead(z, d_head), [n_kv_heads, (n_heads / n_kv_heads) * n, d_head]);
  const products = tf.matMul(queries, byHead(values.own!, d_head), false, true);
  const atQueries = tf.gather(attention.patternByHead(), tf.tensor1d(positions, 'int32'), 1);
  const shares = tf.gather(atQueries, tf.tensor1d(values.layout.ownPositions(), 'int32'), 2);
  return tf.mul(tf.reshape<tf.Rank.R3>(products, [n_heads, n, values.layout.n_sources]), shares);
}
