/** Graph, analysis: the difference of two graphs, feature by feature. */

import type { Graph } from './graph.ts';
import { featureTotals, requireOneSet, type FeatureTotal } from './totals.ts';

export interface ChangedFeature {
  readonly layer: number;
  readonly feature: number;
  readonly before: FeatureTotal;
  readonly after: FeatureTotal;
  readonly influence_change: number;
  readonly activation_change: number;
}

export interface GraphDiff {
  /** Only in the second graph, most influence first. */
  readonly appeared: readonly FeatureTotal[];
  /** Only in the first graph, most influence first. */
  readonly vanished: readonly FeatureTotal[];
  /** In both, largest change of influence first; those in which nothing changed are left out. */
  readonly changed: readonly ChangedFeature[];
  /** Features in both graphs, changed or not. */
  readonly n_common: number;
}

/**
 * Selected features of two graphs, matched by layer and feature and summed over positions. To compare important features only,
 * prune first (`graphOfPruned`). Throws `UsageError` for graphs of different transcoder sets.
 */
export function diffGraphs(first: Graph, second: Graph): GraphDiff {
  requireOneSet([first, second]);
  const before = featureTotals(first);
  const after = featureTotals(second);
  const only = (these: Map<string, FeatureTotal>, those: Map<string, FeatureTotal>): FeatureTotal[] =>
    [...these].flatMap(([key, total]) => (those.has(key) ? [] : [total])).sort(byInfluence);
  const common = [...before].flatMap(([key, total]) => {
    const later = after.get(key);
    return later === undefined ? [] : [change(total, later)];
  });
  return {
    appeared: only(after, before),
    vanished: only(before, after),
    changed: common
      .filter(({ influence_change, activation_change }) => influence_change !== 0 || activation_change !== 0)
      .sort((a, b) => Math.abs(b.influence_change) - Math.abs(a.influence_change)),
    n_common: common.length,
  };
}

function change(before: FeatureTotal, after: FeatureTotal): ChangedFeature {
  return {
    layer: before.layer,
    feature: before.feature,
    before,
    after,
    influence_change: after.influence - before.influence,
    activation_change: after.activation - before.activation,
  };
}

function byInfluence(a: FeatureTotal, b: FeatureTotal): number {
  return b.influence - a.influence;
}
