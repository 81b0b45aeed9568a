/** Training: token rows of different length as one batch, with its targets, masks and angles. */
import * as tf from '@tensorflow/tfjs-core';
import { attentionMask, type PassContext } from '../model/attention.ts';
import type { HookPoints } from '../model/activation-cache.ts';
import type { Tensor2D } from '../backend/backend.ts';
import type { TransformerConfig } from '../model/config.ts';
import { rotaryTable, type Rotary, type RotaryTable } from '../model/rope.ts';
import type { Transformer } from '../model/transformer.ts';

/** Rows padded at their end to one length; under causal attention no token depends on the padding. */
export interface Batch {
  readonly n_rows: number;
  /** Tokens a row, padding included. */
  readonly length: number;
  /** [n_rows · length] */
  readonly tokens: Int32Array;
  /** Indices into `tokens` from which a token is predicted, and that token: each token at `inner` that has one before it. */
  readonly places: Int32Array;
  readonly targets: Int32Array;
  /** Indices of tokens that are neither padding nor one of the first of their row that count as inactive. */
  readonly inner: Int32Array;
}

const PADDING = 0;

/** @param n_ignored leading tokens of a row that count as inactive */
export function batchOf(rows: readonly ArrayLike<number>[], n_ignored = 1): Batch {
  const length = rows.reduce((longest, row) => Math.max(longest, row.length), 0);
  const tokens = new Int32Array(rows.length * length).fill(PADDING);
  const places: number[] = [];
  const targets: number[] = [];
  const inner: number[] = [];
  for (const [r, row] of rows.entries()) {
    for (let i = 0; i < row.length; i++) {
      const place = r * length + i;
      tokens[place] = row[i]!;
      if (i < n_ignored) continue;
      inner.push(place);
      if (i === 0) continue;
      places.push(place - 1);
      targets.push(row[i]!);
    }
  }
  return {
    n_rows: rows.length,
    length,
    tokens,
    places: Int32Array.from(places),
    targets: Int32Array.from(targets),
    inner: Int32Array.from(inner),
  };
}

/** Masks and angles of a batch. Called inside a tidy, which owns them. */
export function batchContext(
  config: TransformerConfig,
  batch: Pick<Batch, 'n_rows' | 'length'>,
  hooks: HookPoints,
): PassContext {
  const { n_rows, length } = batch;
  const repeated = (rotary: Rotary): RotaryTable => {
    const { cos, sin } = rotaryTable(0, length, rotary);
    return { cos: tf.tile(cos, [n_rows, 1, 1]), sin: tf.tile(sin, [n_rows, 1, 1]), [Symbol.dispose]() {} };
  };
  const { rotary } = config;
  return {
    config,
    hooks,
    sequences: n_rows,
    rotary: rotary && { local: repeated(rotary.local), global: repeated(rotary.global) },
    masks: {
      local: attentionMask(0, length, 'local', config.window_size),
      global: attentionMask(0, length, 'global', config.window_size),
    },
  };
}

/** The same for passes that await: dispose it, or take it with `using`. */
export function heldContext(
  config: TransformerConfig,
  batch: Pick<Batch, 'n_rows' | 'length'>,
  hooks: HookPoints,
): PassContext & Disposable {
  let context: PassContext | undefined;
  const held: tf.Tensor[] = [];
  tf.tidy(() => {
    context = batchContext(config, batch, hooks);
    const { rotary, masks } = context;
    const tables = rotary ? [rotary.local, rotary.global].flatMap(({ cos, sin }) => [cos, sin]) : [];
    for (const tensor of [...tables, masks.local, masks.global]) held.push(tf.keep(tensor));
  });
  return { ...context!, [Symbol.dispose]: () => tf.dispose(held) };
}

/** The residual stream before the first layer, [n_rows · length, d_model]. Belongs to the caller. */
export async function embedBatch(model: Transformer, { n_rows, length, tokens }: Batch): Promise<Tensor2D> {
  const parts: Tensor2D[] = [];
  try {
    for (let r = 0; r < n_rows; r++) {
      parts.push(await model.embed(tokens.subarray(r * length, (r + 1) * length)));
    }
    return tf.concat(parts, 0);
  } finally {
    tf.dispose(parts);
  }
}
