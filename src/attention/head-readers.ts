/** Attention: queries and keys of a head as linear readers of the residual stream, everything frozen that a score has. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor1D, Tensor2D } from '../backend/backend.ts';
import type { Norm } from '../model/norm.ts';
import { rotaryTable } from '../model/rope.ts';
import type { Readers } from './source-rows.ts';
import type { TracedPrompt } from './traced-prompt.ts';

/** Which side of a score. */
export type Side = 'query' | 'key';

/** Weights of positions: 1 at the one that is read, or those of a contrast. */
export type PositionWeights = ReadonlyMap<number, number>;

/** Readers of one side of a head, and what its own constants give. Dispose it after use. */
export interface HeadReaders extends Readers, Disposable {
  /** What `bias` of the head's layer has beside its part of the residual stream, [d_head]. */
  readonly constant: Float32Array;
}

const SIDES = {
  query: { matrix: 'W_Q', norm: 'q', scale: 'attn.q_norm.hook_scale' },
  key: { matrix: 'W_K', norm: 'k', scale: 'attn.k_norm.hook_scale' },
} as const;

/**
 * Readers whose products with the source parts of hook_resid_pre, plus `constant`, are Σ weight · Q, or Σ weight · K, over positions. The
 * divisor of scores is on the query's side.
 * @param head of queries, or of keys and values
 */
export async function headReaders(
  prompt: TracedPrompt,
  side: Side,
  layer: number,
  head: number,
  weights: PositionWeights,
): Promise<HeadReaders> {
  const { model } = prompt.replacement;
  const { d_head, attn_scale } = model.config;
  const { matrices, norms, biases } = model.weights.blocks[layer]!;
  const { matrix } = SIDES[side];
  const rows = await matrices[matrix].rows(Int32Array.from({ length: d_head }, (_, i) => head * d_head + i));
  const owned: Tensor2D[] = [rows];
  try {
    const ln1: Norm | undefined = norms.ln1;
    const folded = tf.tidy(() => (ln1 ? ln1.linearTransposed(rows) : rows.clone()));
    owned.push(folded);
    const bias = await biasOf(rows, ln1?.parameters.b, biases[matrix], head * d_head);
    const divisors = ln1 ? await prompt.at(layer, 'ln1.hook_scale').data<'float32'>() : null;
    const gains = await gainsOf(prompt, side, layer, head);
    const constant = new Float32Array(d_head);
    const positions = [...weights.keys()].sort((a, b) => a - b);
    const vectors: Tensor2D[] = [];
    for (const position of positions) {
      const factor = weights.get(position)! / (side === 'query' ? attn_scale : 1);
      const map = await rotationOf(prompt, layer, position);
      const gain = gains(position);
      for (let i = 0; i < d_head; i++)
        for (let j = 0; j < d_head; j++) {
          map[i * d_head + j]! *= factor * gain[j]!;
          constant[i]! += map[i * d_head + j]! * (bias?.[j] ?? 0);
        }
      const scaled = divisors ? map.map((value) => value / divisors[position]!) : map;
      const vector = tf.tidy(() => tf.matMul<Tensor2D>(tf.tensor2d(scaled, [d_head, d_head]), folded));
      vectors.push(vector);
    }
    return {
      positions,
      vectors,
      constant,
      [Symbol.dispose]: () => vectors.forEach((vector) => vector.dispose()),
    };
  } finally {
    for (const tensor of owned) tensor.dispose();
  }
}

/** b + W · b_ln1 of a head, [d_head]; null without biases. */
async function biasOf(
  rows: Tensor2D,
  b_norm: Tensor1D | undefined,
  b: Tensor1D | undefined,
  from: number,
): Promise<Float32Array | null> {
  if (!b_norm && !b) return null;
  const d_head = rows.shape[0];
  const sum = tf.tidy(() => {
    const own = b ? tf.slice1d(b, from, d_head) : tf.zeros<tf.Rank.R1>([d_head]);
    if (!b_norm) return own;
    return tf.add<Tensor1D>(
      own,
      tf.reshape(tf.matMul(rows, tf.reshape<tf.Rank.R2>(b_norm, [-1, 1])), [d_head]),
    );
  });
  try {
    return await sum.data<'float32'>();
  } finally {
    sum.dispose();
  }
}

/** Gains of the norm of queries or keys over its divisor, by position, [d_head]; ones without a norm. */
async function gainsOf(
  prompt: TracedPrompt,
  side: Side,
  layer: number,
  head: number,
): Promise<(position: number) => Float32Array> {
  const { n_heads, n_kv_heads, d_head, block } = prompt.replacement.model.config;
  const { qkNorms } = prompt.replacement.model.weights.blocks[layer]!;
  if (!qkNorms) {
    const ones = new Float32Array(d_head).fill(1);
    return () => ones;
  }
  const { norm, scale } = SIDES[side];
  const w = await qkNorms[norm].parameters.w.data<'float32'>();
  const divisors = await prompt.at(layer, scale).data<'float32'>();
  const isEach = block.qkNorm === 'head';
  const own = isEach ? w : w.subarray(head * d_head, (head + 1) * d_head);
  const heads = side === 'query' ? n_heads : n_kv_heads;
  return (position) => own.map((gain) => gain / divisors[isEach ? position * heads + head : position]!);
}

/** The rotation at a position as a matrix [d_head, d_head], row-major; the identity without rotation. */
async function rotationOf(prompt: TracedPrompt, layer: number, position: number): Promise<Float32Array> {
  const { d_head, rotary, attn_types } = prompt.replacement.model.config;
  const map = new Float32Array(d_head * d_head);
  for (let i = 0; i < d_head; i++) map[i * d_head + i] = 1;
  const spec = rotary?.[attn_types[layer]!];
  if (!spec) return map;
  using table = rotaryTable(position, 1, spec);
  const [cos, sin] = [await table.cos.data<'float32'>(), await table.sin.data<'float32'>()];
  const half = spec.dim / 2;
  for (let i = 0; i < half; i++) {
    map[i * d_head + i] = cos[i]!;
    map[i * d_head + i + half] = -sin[i]!;
    map[(i + half) * d_head + i + half] = cos[i]!;
    map[(i + half) * d_head + i] = sin[i]!;
  }
  return map;
}
