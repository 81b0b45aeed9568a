/** Model: grouped-query attention of one layer, local or global. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor1D, Tensor2D, Tensor3D } from '../backend/backend.ts';
import type { HookPoints } from './activation-cache.ts';
import type { HeldBlock } from './held-block.ts';
import type { TransformerConfig } from './config.ts';
import type { AttentionType, BlockMatrix } from './block-spec.ts';
import { blockHook, type OutputSite } from './hooks.ts';
import type { Norm } from './norm.ts';
import { project } from './project.ts';
import { rotate, type RotaryTable } from './rope.ts';
import { softCap } from './soft-cap.ts';

/** Rotated keys and values of earlier tokens of one layer, each [pos, n_kv_heads, d_head]. */
export interface PastKeysValues {
  readonly keys: Tensor3D;
  readonly values: Tensor3D;
}

/** What all layers of a pass share. */
export interface PassContext {
  readonly config: TransformerConfig;
  readonly hooks: HookPoints;
  /** One table an attention type; null without rotation. */
  readonly rotary: Readonly<Record<AttentionType, RotaryTable>> | null;
  /** 1 where a query may see a key, [1, q_pos, k_pos]; one mask an attention type. */
  readonly masks: Readonly<Record<AttentionType, Tensor3D>>;
  /**
   * How many prompts of equal length lie one after the other in `pos`; 1 when left out. Each attends to itself alone, the
   * masks are those of one, and attention scores and patterns are [sequences · n_heads, q_pos, k_pos]. For training.
   */
  readonly sequences?: number;
  /** What features write to: the hook behind it is called. `hook_mlp_out` when left out. */
  readonly output?: OutputSite;
  /** Called with the keys and values of the pass, of all positions so far; they stay the pass's. */
  readonly onKeysValues?: (layer: number, keys: Tensor3D, values: Tensor3D) => void;
}

/** Attention output [pos, d_model], before the post norm, of normalised inputs x [pos, d_model]. */
export function attention(
  x: Tensor2D,
  weights: HeldBlock,
  layer: number,
  context: PassContext,
  past?: PastKeysValues,
): Tensor2D {
  const { config, hooks } = context;
  const { n_heads, n_kv_heads, d_head } = config;
  const n = x.shape[0];
  const heads = (name: BlockMatrix, count: number): Tensor3D =>
    tf.reshape(project(x, weights, name), [n, count, d_head]);
  const q = hooks.at(blockHook(layer, 'attn.hook_q'), heads('W_Q', n_heads));
  const k = hooks.at(blockHook(layer, 'attn.hook_k'), heads('W_K', n_kv_heads));
  const v = hooks.at(blockHook(layer, 'attn.hook_v'), heads('W_V', n_kv_heads));
  const { qkNorms } = weights;
  const normedQ = qkNorms ? normedHeads(q, qkNorms.q, layer, 'q_norm', context) : q;
  const normedK = qkNorms ? normedHeads(k, qkNorms.k, layer, 'k_norm', context) : k;
  const rotary = context.rotary?.[config.attn_types[layer]!];
  const rotatedQ = rotary ? hooks.at(blockHook(layer, 'attn.hook_rot_q'), rotate(normedQ, rotary)) : normedQ;
  const rotatedK = rotary ? hooks.at(blockHook(layer, 'attn.hook_rot_k'), rotate(normedK, rotary)) : normedK;
  const keys = past ? tf.concat([past.keys, rotatedK], 0) : rotatedK; // [k_pos, n_kv_heads, d_head]
  const values = past ? tf.concat([past.values, v], 0) : v;
  context.onKeysValues?.(layer, keys, values);
  const sequences = context.sequences ?? 1;
  const nQueries = n / sequences;
  const nKeys = keys.shape[0] / sequences;
  const mask = context.masks[config.attn_types[layer]!];
  const scores = hooks.at(
    blockHook(layer, 'attn.hook_attn_scores'),
    attentionScores(rotatedQ, keys, mask, config, sequences),
  );
  const pattern = hooks.at(blockHook(layer, 'attn.hook_pattern'), attentionPattern(scores, weights.sinks)); // [head, q_pos, k_pos]

  const group = n_heads / n_kv_heads;
  const mixed = tf.matMul(
    tf.reshape<tf.Rank.R3>(pattern, [sequences * n_kv_heads, group * nQueries, nKeys]),
    byHead(values, sequences),
  );
  const bySequence = tf.reshape<tf.Rank.R4>(mixed, [sequences, n_heads, nQueries, d_head]);
  const z = tf.reshape<tf.Rank.R3>(tf.transpose(bySequence, [0, 2, 1, 3]), [n, n_heads, d_head]); // [pos, head, d_head]
  const hookedZ = hooks.at(blockHook(layer, 'attn.hook_z'), z);
  return project(tf.reshape<tf.Rank.R2>(hookedZ, [n, n_heads * d_head]), weights, 'W_O');
}

/** Queries or keys [pos, heads, d_head] normed, each head by itself or all heads of a position together. */
function normedHeads(
  x: Tensor3D,
  norm: Norm,
  layer: number,
  name: 'q_norm' | 'k_norm',
  { config, hooks }: PassContext,
): Tensor3D {
  const [n, heads, d_head] = x.shape;
  const rows: [number, number] = config.block.qkNorm === 'head' ? [n * heads, d_head] : [n, heads * d_head];
  const normed = norm.forward(tf.reshape<tf.Rank.R2>(x, rows), hooks, {
    scale: blockHook(layer, `attn.${name}.hook_scale`),
    normalized: blockHook(layer, `attn.${name}.hook_normalized`),
  });
  return tf.reshape(normed, x.shape);
}

/**
 * Attention scores [sequences · n_heads, q_pos, k_pos] of queries [pos, n_heads, d_head] and keys [pos, n_kv_heads, d_head],
 * both rotated, after cap and mask [1, q_pos, k_pos].
 */
export function attentionScores(
  queries: Tensor3D,
  keys: Tensor3D,
  mask: Tensor3D,
  config: Pick<TransformerConfig, 'attn_scale' | 'attn_scores_soft_cap'>,
  sequences = 1,
): Tensor3D {
  const [n_heads, n_kv_heads, d_head] = [queries.shape[1], keys.shape[1], keys.shape[2]];
  const [, nQueries, nKeys] = mask.shape;
  // Query heads of one key/value head lie side by side, so that each key/value head is one matrix product:
  // [sequences · n_kv_heads, group · q_pos, d_head] · [sequences · n_kv_heads, d_head, k_pos].
  const group = n_heads / n_kv_heads;
  const products = tf.matMul(
    tf.reshape<tf.Rank.R3>(byHead(queries, sequences), [sequences * n_kv_heads, group * nQueries, d_head]),
    byHead(keys, sequences),
    false,
    true,
  );
  const raw = tf.div<Tensor3D>(
    tf.reshape<tf.Rank.R3>(products, [sequences * n_heads, nQueries, nKeys]),
    config.attn_scale,
  );
  const capped = softCap(raw, config.attn_scores_soft_cap);
  return tf.where<Tensor3D>(tf.greater(mask, 0), capped, tf.fill([1, 1, 1], -Infinity));
}

/**
 * The weight of each key for each query: softmax of scores, of the same shape. With sinks [n_heads] it runs over one more column,
 * so that rows add up to less than one.
 */
export function attentionPattern(scores: Tensor3D, sinks: Tensor1D | null): Tensor3D {
  if (!sinks) return tf.softmax(scores, -1);
  const [heads, nQueries, nKeys] = scores.shape;
  const column = tf.tile(tf.reshape(sinks, [-1, 1, 1]), [heads / sinks.shape[0], nQueries, 1]);
  const pattern = tf.softmax(tf.concat([scores, column as Tensor3D], 2), -1);
  return tf.slice<tf.Rank.R3, Tensor3D>(pattern, [0, 0, 0], [heads, nQueries, nKeys]);
}

/** From [sequences · pos, heads, d_head] to [sequences · heads, pos, d_head]. */
function byHead(t: Tensor3D, sequences: number): Tensor3D {
  const [n, heads, d_head] = t.shape;
  const nPositions = n / sequences;
  const split = tf.reshape<tf.Rank.R4>(t, [sequences, nPositions, heads, d_head]);
  return tf.reshape(tf.transpose(split, [0, 2, 1, 3]), [sequences * heads, nPositions, d_head]);
}

/** The mask for queries at positions [first, first + n) over all keys up to them. `window`: null when there is none. */
export function attentionMask(
  first: number,
  n: number,
  type: AttentionType,
  window: number | null,
): Tensor3D {
  const nKeys = first + n;
  const mask = new Float32Array(n * nKeys);
  for (let query = 0; query < n; query++) {
    const position = first + query;
    const oldest = type === 'local' && window !== null ? Math.max(0, position - window + 1) : 0;
    mask.fill(1, query * nKeys + oldest, query * nKeys + position + 1);
  }
  return tf.tensor3d(mask, [1, n, nKeys]);
}
