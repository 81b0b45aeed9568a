/** Attribution: which features get rows when there is a limit. */
import type { KnownRows } from '../graph/known-rows.ts';

export const SELECTION_CHOICES = ['reference', 'exact'] as const;
/**
 * `reference`: rounds of update_interval · batch_size rows, each ranked by the rows known then (the original library's
 * rule). `exact`: ranked again until the best features are all known; depends on neither.
 */
export type SelectionChoice = (typeof SELECTION_CHOICES)[number];

export interface SelectionOptions {
  /** 0: no limit. */
  readonly maxFeatureNodes: number;
  readonly batchSize: number;
  readonly updateInterval: number;
  readonly selection: SelectionChoice;
}

/**
 * Computes the rows of these active features and appends them. `selection`, ascending, is given as soon as it is final: then
 * nothing is ranked any more, and columns of other features are not needed.
 */
export type ComputeRows = (features: Int32Array, selection: Int32Array | null) => Promise<void>;

/** Whether features are ranked by the rows of logits alone, so that no other row needs columns for all active features. */
export function isRankedOnce(
  { maxFeatureNodes: limit, batchSize, updateInterval, selection }: SelectionOptions,
  n_active: number,
): boolean {
  return selection === 'reference' && limit < n_active && limit <= updateInterval * batchSize && limit > 0;
}

/** Selected features, ascending; their rows are known when this returns. Logit rows have to be known before. */
export async function selectFeatures(
  known: KnownRows,
  options: SelectionOptions,
  compute: ComputeRows,
): Promise<Int32Array> {
  const n_active = known.columns.n_features;
  const all = Int32Array.from({ length: n_active }, (_, i) => i);
  const limit = options.maxFeatureNodes;
  if (limit === 0 || limit >= n_active) {
    await compute(
      all.filter((feature) => !known.has(feature)),
      all,
    );
    return all;
  }
  return options.selection === 'exact'
    ? await selectExactly(known, n_active, limit, compute)
    : await selectInRounds(known, limit, options, compute);
}

async function selectInRounds(
  known: KnownRows,
  limit: number,
  { batchSize, updateInterval }: SelectionOptions,
  compute: ComputeRows,
): Promise<Int32Array> {
  const chosen: number[] = [];
  while (chosen.length < limit) {
    const picked = known.best(Math.min(updateInterval * batchSize, limit - chosen.length));
    for (const feature of picked) chosen.push(feature);
    await compute(picked, chosen.length < limit ? null : Int32Array.from(chosen).sort());
  }
  return Int32Array.from(chosen).sort();
}

async function selectExactly(
  known: KnownRows,
  n_active: number,
  limit: number,
  compute: ComputeRows,
): Promise<Int32Array> {
  // Every round makes at least one more row known, so there are at most n_active rounds; in practice two to five.
  for (;;) {
    const influence = known.influence();
    const ranked = Array.from({ length: n_active }, (_, i) => i).sort(
      (a, b) => influence[b]! - influence[a]! || a - b,
    );
    const best = Int32Array.from(ranked.slice(0, limit));
    const missing = best.filter((feature) => !known.has(feature));
    if (missing.length === 0) return best.sort();
    await compute(missing, null);
  }
}
