/** Suggest, step 2: groups of features that do the same, by complete linkage (ml-hclust), so that no two of a group are unlike. */
import { agnes } from 'ml-hclust';
import { distanceOf, OTHER_PLACE, type Likeness } from './likeness.ts';

/** Features further apart than this are not joined, unless there would be too many boxes. */
const ALIKE = 0.5;

/** Why features are one box: the least likeness of any two of them. */
export interface GroupReason {
  readonly links_in: number;
  readonly links_out: number;
  readonly labels: number | null;
}

/**
 * Groups as indices in `likeness`, each ascending. Where there are more than `most`, less alike ones of the same place are joined;
 * those of different places never are, so that there may be more still.
 */
export function groupsOf(likeness: readonly (readonly Likeness[])[], most: number): number[][] {
  const n = likeness.length;
  if (n < 2) return n === 0 ? [] : [[0]];
  const matrix = likeness.map((row, i) => row.map((pair, j) => (i === j ? 0 : distanceOf(pair))));
  const root = agnes(matrix, { method: 'complete', isDistanceMatrix: true });
  const heights = new Set<number>([ALIKE]);
  root.traverse(({ height }) => {
    if (height > ALIKE && height < OTHER_PLACE) heights.add(height);
  });
  let groups: number[][] = [];
  for (const height of [...heights].sort((a, b) => a - b)) {
    groups = root.cut(height).map((part) => [...part.indices()].sort((a, b) => a - b));
    if (groups.length <= most) break;
  }
  return groups;
}

/** Null for a single feature. */
export function reasonOf(
  likeness: readonly (readonly Likeness[])[],
  group: readonly number[],
): GroupReason | null {
  const pairs = group.flatMap((a, i) => group.slice(0, i).map((b) => likeness[a]![b]!));
  if (pairs.length === 0) return null;
  const least = (values: readonly number[]): number => values.reduce((low, value) => Math.min(low, value));
  const labels = pairs.flatMap(({ labels }) => labels ?? []);
  return {
    links_in: least(pairs.map(({ links_in }) => links_in)),
    links_out: least(pairs.map(({ links_out }) => links_out)),
    labels: labels.length < pairs.length ? null : least(labels),
  };
}
