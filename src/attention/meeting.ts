/** Attention: gradients of targets and values of sources where they meet, at the heads of a layer, and tables of their products. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D, Tensor3D } from '../backend/backend.ts';
import type { AttentionMap } from '../attribution/attention-map.ts';
import type { LayerValues } from './stored-values.ts';
import type { HeadQueries, TargetBatch } from './target-walk.ts';

/** What meets at a layer. */
export interface Meeting {
  readonly attention: AttentionMap;
  readonly batch: TargetBatch;
  readonly queries: HeadQueries;
  readonly values: LayerValues;
}

/** Products of many targets and sources, [n_heads, cells], and the cell of a pair. */
export interface Table {
  readonly products: Tensor2D;
  readonly cell: (row: number, block: number, rank: number) => number;
}

/** Rows [n, some heads · d_head] by head, [heads, n, d_head]. */
export function byHead(rows: Tensor2D, d_head: number): Tensor3D {
  return tf.transpose(tf.reshape<tf.Rank.R3>(rows, [rows.shape[0], -1, d_head]), [1, 0, 2]);
}
