/** Attribution: which rows are computed together. Rows of one position reach the same positions, so they go side by side. */
import type { ActiveFeatures } from '../replacement/replacement-model.ts';
import type { FeatureBatch } from './backward.ts';

/** From this many rows on, products are as fast as they get: a batch does not take in rows of a further position. */
const ENOUGH_ROWS = 128;

/** A batch's gradients, [n_pos, rows, d_model] float32, stay below this; about five such tensors are in memory at a time. */
const LARGEST_GRADIENT_BYTES = 128 * 1024 * 1024;

/**
 * Cuts features into batches of about `batchSize` rows: by position, and within a batch from the highest layer down, which
 * is the order in which they start. The rows of one position are cut into equal parts, so that no small rest is
 * computed at half the speed; a batch can be half as large again as asked. The rows themselves do not depend on the cut.
 */
export function planBatches(
  { indices }: ActiveFeatures,
  wanted: Int32Array,
  batchSize: number,
  d_model: number,
): FeatureBatch[] {
  const layerOf = (feature: number): number => indices[3 * feature]!;
  const positionOf = (feature: number): number => indices[3 * feature + 1]!;
  const batches: FeatureBatch[] = [];
  const finish = (members: number[], position: number): void => {
    const n_pos = position + 1;
    const largest = Math.max(1, Math.floor(LARGEST_GRADIENT_BYTES / (n_pos * d_model * 4)));
    const parts = Math.max(1, Math.round(members.length / batchSize), Math.ceil(members.length / largest));
    for (let part = 0; part < parts; part++) {
      const start = Math.round((part * members.length) / parts);
      const stop = Math.round(((part + 1) * members.length) / parts);
      const features = Int32Array.from(members.slice(start, stop));
      features.sort((a, b) => layerOf(b) - layerOf(a) || a - b);
      if (features.length > 0) batches.push({ features, n_pos });
    }
  };
  const byPosition = wanted
    .slice()
    .sort((a, b) => positionOf(a) - positionOf(b) || layerOf(b) - layerOf(a) || a - b);
  let members: number[] = [];
  for (const feature of byPosition) {
    const last = members.at(-1);
    const isNewPosition = last !== undefined && positionOf(last) !== positionOf(feature);
    if (isNewPosition && members.length >= Math.min(batchSize, ENOUGH_ROWS)) {
      finish(members, positionOf(last));
      members = [];
    }
    members.push(feature);
  }
  if (members.length > 0) finish(members, positionOf(members.at(-1)!));
  return batches;
}
