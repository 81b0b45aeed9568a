/** Attention: what links carry without any head. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../backend/backend.ts';
import type { StoreLinks } from './placed-links.ts';
import type { TargetBatch } from './target-walk.ts';

/**
 * Adds products of gradients g [n, d_model] of the first targets, with attention cut, with what sources write at the same positions:
 * both at hook_resid_post of a layer, or at the embedding with layer -1.
 */
export async function addDirect(
  direct: Float32Array,
  { store, start, rows, blocks, ranks }: StoreLinks,
  { positions }: TargetBatch,
  layer: number,
  g: Tensor2D,
): Promise<void> {
  const written = store.writesAt(layer);
  if (!written) return;
  const products = tf.tidy(() => tf.matMul<Tensor2D>(g, written.vectors, false, true));
  const [n, n_written] = products.shape;
  const values = await products.data<'float32'>();
  products.dispose();
  const columnOf = new Map(Array.from(written.sources, (source, column) => [source, column]));
  const columns = store.batch.groups.map(({ sources }) =>
    sources.map((source) => columnOf.get(source) ?? -1),
  );
  const own = store.batch.groups.map(({ firstPosition }) => firstPosition);
  for (let i = 0; i < rows.length; i++) {
    const [row, block] = [rows[i]!, blocks[i]!];
    const column = columns[block]![ranks[i]!]!;
    if (row < n && column >= 0 && positions[row] === own[block])
      direct[start + i]! += values[row * n_written + column]!;
  }
}
