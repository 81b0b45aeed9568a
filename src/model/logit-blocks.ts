/**
 * Model: logits of chosen positions after a pass that computed none. A row of 256,000 tokens takes 1 MB, so those of a long
 * prompt are computed in blocks of rows.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { HeldWeight, Tensor2D } from '../backend/backend.ts';
import { yieldToEventLoop } from '../backend/event-loop.ts';
import type { HookName } from './hooks.ts';
import { softCap } from './soft-cap.ts';
import { lastRow, type Transformer } from './transformer.ts';

/** What a pass has to capture for it, with `logits: 'none'`: rows of all positions. */
export const BEFORE_UNEMBEDDING: HookName = 'unembed.hook_pre';

/** Logits, or the values before the cap. */
export type UnembeddedSite = 'unembed.hook_post' | 'logits';

const DEFAULT_BLOCK_BYTES = 64 * 2 ** 20;
const NUMBER_BYTES = 4;

export interface BlockOptions {
  readonly signal?: AbortSignal | undefined;
  /** Size of a block of one pass. */
  readonly blockBytes?: number | undefined;
}

/**
 * From so many rows on (12 on TensorFlow, `backend/tensorflow/product.ts`), and below 256, the digits of a row do not depend
 * on how many rows are multiplied with it: the last position then has the logits that it has among all.
 */
const STEADY_ROWS = 16;

/**
 * Rows of `site` for the rows of one or several passes over the same positions, block by block: for each pass a tensor
 * [n, d_vocab], in use until the next block is asked for.
 * @param rows values at `unembed.hook_pre`, [pos, d_model] each; they stay the caller's
 */
export async function* logitBlocks(
  model: Transformer,
  rows: readonly Tensor2D[],
  site: UnembeddedSite,
  { signal, blockBytes = DEFAULT_BLOCK_BYTES }: BlockOptions = {},
): AsyncGenerator<readonly Tensor2D[], void, undefined> {
  const [n_pos] = rows[0]!.shape;
  const atOnce = Math.max(1, Math.floor(blockBytes / (NUMBER_BYTES * model.config.d_vocab)));
  using W_U = await model.weights.W_U.acquire();
  for (let start = 0; start < n_pos; start += atOnce) {
    await yieldToEventLoop();
    signal?.throwIfAborted();
    const n = Math.min(atOnce, n_pos - start);
    const block = rows.map((all) => unembedded(model, W_U, all, start, n, site));
    try {
      yield block;
    } finally {
      tf.dispose(block);
    }
  }
}

/** Logits of the last position, [d_vocab]. @param rows values at `unembed.hook_pre`, [pos, d_model] */
export async function lastLogits(model: Transformer, rows: Tensor2D): Promise<Float32Array> {
  const n = Math.min(STEADY_ROWS, rows.shape[0]);
  using W_U = await model.weights.W_U.acquire();
  const last = unembedded(model, W_U, rows, rows.shape[0] - n, n, 'logits');
  try {
    return await lastRow(last);
  } finally {
    last.dispose();
  }
}

/** Rows [start, start + n) of a site, [n, d_vocab], of rows at `unembed.hook_pre`. Belongs to the caller. */
export function unembedded(
  { config }: Transformer,
  W_U: HeldWeight,
  rows: Tensor2D,
  start: number,
  n: number,
  site: UnembeddedSite,
): Tensor2D {
  return tf.tidy(() => {
    const z = W_U.matMul(tf.slice(rows, [start, 0], [n, config.d_model]), { transpose: true });
    return site === 'logits' ? softCap(z, config.output_logits_soft_cap) : z;
  });
}
