/** Attribution: which rows are computed together. Rows of one position reach the same positions, so they go side by side. */
import type { ActiveFeatures } from '../replacement/replacement-model.ts';
import type { FeatureBatch } from './backward.ts';

/** From this many rows on, products are as fast as they get: a batch does not take in rows of a further position. */
const ENOUGH_ROWS = 128;

/** A batch's gradients, [n_pos, rows, d_model] float32, stay below this; a walk holds about five such tensors at a time. */
const LARGEST_GRADIENT_BYTES = 128 * 1024 * 1024;

/**
 * Cuts features into batches of at most `batchSize` rows: by position, and within a batch from the highest layer down,
 * which is the order in which they enter the walk. The rows themselves do not depend on the cut.
 */
export function planBatches(
  { indices }: ActiveFeatures,
  wanted: Int32Array,
  batchSize: number,
  d_model: number,
): FeatureBatch[] {
  const layerOf = (feature: number): number => indices[3 * feature]!;
  const positionOf = (feature: number): number => indices[3 * feature + 1]!;
  const byPosition = wanted
    .slice()
    .sort((a, b) => positionOf(a) - positionOf(b) || layerOf(b) - layerOf(a) || a - b);
  const batches: FeatureBatch[] = [];
  for (let start = 0; start < byPosition.length;) {
    let stop = start;
    while (stop < byPosition.length) {
      const rows = stop - start;
      const position = positionOf(byPosition[stop]!);
      const gradientBytes = (position + 1) * (rows + 1) * d_model * 4;
      const isNewPosition = rows > 0 && position !== positionOf(byPosition[stop - 1]!);
      if (rows > 0 && (rows >= batchSize || gradientBytes > LARGEST_GRADIENT_BYTES)) break;
      if (isNewPosition && rows >= ENOUGH_ROWS) break;
      stop++;
    }
    const members = byPosition.slice(start, stop);
    const n_pos = positionOf(members[members.length - 1]!) + 1;
    members.sort((a, b) => layerOf(b) - layerOf(a) || a - b);
    batches.push({ features: members, n_pos });
    start = stop;
  }
  return batches;
}
