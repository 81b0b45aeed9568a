/** Engine: logits of all positions on their way into a file or a comparison, some rows at a time. */
import { largestDifference } from '../intervention/compare.ts';
import type { Tensor2D } from '../backend/backend.ts';
import { logitBlocks, type BlockOptions, type UnembeddedSite } from '../model/logit-blocks.ts';
import { lastRow, type Transformer } from '../model/transformer.ts';

/** Row by row, in pieces. @param rows values at `unembed.hook_pre`, [pos, d_model] */
export async function* blockNumbers(
  model: Transformer,
  rows: Tensor2D,
  site: UnembeddedSite,
  options: BlockOptions = {},
): AsyncGenerator<Float32Array, void, undefined> {
  for await (const [block] of logitBlocks(model, [rows], site, options)) yield await block!.data<'float32'>();
}

/** Two passes over the same positions, compared. */
export interface LogitComparison {
  /** Logits of the last position, [d_vocab]. */
  readonly before: Float32Array;
  readonly after: Float32Array;
  /** Over all positions and tokens. */
  readonly largestChange: number;
}

/** @param rows values at `unembed.hook_pre` before and after, [pos, d_model] */
export async function compareLogits(
  model: Transformer,
  rows: readonly [Tensor2D, Tensor2D],
  options: BlockOptions = {},
): Promise<LogitComparison> {
  const [n_pos] = rows[0].shape;
  let ends: Float32Array[] = [];
  let largestChange = 0;
  let done = 0;
  for await (const blocks of logitBlocks(model, rows, 'logits', options)) {
    const [before, after] = blocks as readonly [Tensor2D, Tensor2D];
    largestChange = Math.max(largestChange, await largestDifference(after, before));
    done += before.shape[0];
    if (done === n_pos) ends = await Promise.all(blocks.map(lastRow));
  }
  const [before, after] = ends;
  return { before: before!, after: after!, largestChange };
}
