/** Study, `common`: what recurs in a group of graphs, with the interval of its share. */
import type { Measured } from './sample.ts';

/** Of the standard normal distribution, both sides together 5 %. */
const Z_95 = 1.959964;

export interface Recurrence {
  /** Graphs of the group that have it. */
  readonly n_graphs: number;
  readonly share: number;
  /** Of the share, 95 % (Wilson). */
  readonly interval: readonly [low: number, high: number];
  /** Over all graphs of the group, zero where it is not. */
  readonly mean_influence: number;
}

/**
 * Wilson's score interval of a share of `count` in `total`: unlike the usual one it is never outside 0 to 1 and holds for few graphs
 * and for shares near 0 and 1 (Wilson 1927; Brown, Cai and DasGupta 2001).
 */
export function wilsonInterval(count: number, total: number): readonly [low: number, high: number] {
  const share = count / total;
  const z2 = Z_95 ** 2;
  const centre = (share + z2 / (2 * total)) / (1 + z2 / total);
  const half = (Z_95 / (1 + z2 / total)) * Math.sqrt((share * (1 - share)) / total + z2 / (4 * total ** 2));
  return [count === 0 ? 0 : centre - half, count === total ? 1 : centre + half];
}

/**
 * What is in any graph of a group, that of most graphs first, then of most influence.
 *
 * @param inGroup of each graph of the sample whether it is in the group
 */
export function recurring<T extends Measured>(
  measured: readonly T[],
  inGroup: Uint8Array,
): (T & { readonly recurrence: Recurrence })[] {
  const total = inGroup.reduce((sum, one) => sum + one, 0);
  const found = measured.flatMap((one) => {
    let n_graphs = 0;
    let sum = 0;
    one.at.forEach((graph, i) => {
      if (inGroup[graph] === 0) return;
      n_graphs += 1;
      sum += one.values[i]!;
    });
    if (n_graphs === 0) return [];
    const interval = wilsonInterval(n_graphs, total);
    const recurrence = { n_graphs, share: n_graphs / total, interval, mean_influence: sum / total };
    return [{ ...one, recurrence }];
  });
  return found.sort(
    ({ recurrence: a }, { recurrence: b }) => b.n_graphs - a.n_graphs || b.mean_influence - a.mean_influence,
  );
}
