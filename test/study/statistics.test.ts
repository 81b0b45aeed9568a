import { describe, expect, it } from '@jest/globals';
import { Random } from '../../src/random.ts';
import { clusterGraphs, distances, meanSilhouette, medoid } from '../../src/study/cluster.ts';
import { recurring, wilsonInterval } from '../../src/study/common.ts';
import { differences } from '../../src/study/contrast.ts';
import type { Measured } from '../../src/study/sample.ts';

/** From one value a graph, zeros left out as they are in a sample. */
function measured(name: string, values: readonly number[]): Measured {
  const at = [...values.keys()].filter((graph) => values[graph] !== 0);
  return { name, at, values: at.map((graph) => values[graph]!) };
}

/** The normal-approximation interval would leave 0 to 1; these are of R's `prop.test(count, total, correct = FALSE)`. */
describe('wilsonInterval', () => {
  it.each([
    [0, 10, 0, 0.2775],
    [1, 10, 0.0179, 0.4042],
    [5, 10, 0.2366, 0.7634],
    [10, 10, 0.7225, 1],
    [81, 263, 0.2553, 0.3662],
  ])('of %d in %d is %d to %d', (count, total, low, high) => {
    const found = wilsonInterval(count, total);
    expect(found[0]).toBeCloseTo(low, 4);
    expect(found[1]).toBeCloseTo(high, 4);
  });
});

describe('recurring', () => {
  it('counts only graphs of the group, most graphs first', () => {
    const found = recurring(
      [measured('a', [1, 0, 0, 4]), measured('b', [1, 1, 0, 0]), measured('c', [0, 0, 1, 1])],
      Uint8Array.of(1, 1, 0, 0),
    );
    expect(
      found.map(({ name, recurrence }) => [name, recurrence.n_graphs, recurrence.mean_influence]),
    ).toEqual([
      ['b', 2, 1],
      ['a', 1, 0.5],
    ]);
  });
});

describe('differences', () => {
  const options = { permutations: 200, seed: 1 };

  it('has the p-values of all divisions where these can be listed', async () => {
    // Of 20 divisions of 6 into 3 and 3, the observed one and its mirror image are the most extreme: p = 2 / 20.
    const [found] = await differences([measured('a', [5, 6, 7, 1, 2, 3])], Uint8Array.of(1, 1, 1, 0, 0, 0), {
      permutations: 20_000,
      seed: 3,
    });
    expect(found!.p).toBeGreaterThan(0.094);
    expect(found!.p).toBeLessThan(0.106);
    expect(found!.p_adjusted).toBe(found!.p); // one test needs no correction
    expect([found!.mean_a, found!.mean_b, found!.difference]).toEqual([6, 2, 4]);
  });

  it('does not test what is equal in all graphs, but for rounding', async () => {
    const inA = Uint8Array.of(1, 1, 0, 0);
    const found = await differences(
      [measured('a', [0.1, 0.1, 0.1, 0.1 + 1e-17]), measured('b', [1, 1, 0, 0])],
      inA,
      options,
    );
    expect(found.map((one) => one !== undefined)).toEqual([false, true]);
  });

  it('corrects for the number of tests: without a difference, anything is named in one of twenty studies', async () => {
    const random = new Random(11);
    const n_studies = 200;
    let named = 0;
    let smallest = 0;
    for (let study = 0; study < n_studies; study++) {
      const many = Array.from({ length: 40 }, (_, i) =>
        measured(
          `f${i}`,
          Array.from({ length: 24 }, () => (random.next() < 0.5 ? 0 : random.next() ** (1 + (i % 4)))),
        ),
      );
      const inA = Uint8Array.from({ length: 24 }, (_, i) => i % 2);
      const found = await differences(many, inA, { permutations: 199, seed: study });
      if (found.some((one) => one!.p_adjusted <= 0.05)) named += 1;
      if (found.some((one) => one!.p <= 0.05)) smallest += 1;
    }
    // Binomial with 200 and 0.05: beyond 20 in one of a thousand. Uncorrected, nearly every study names something.
    expect(named).toBeLessThanOrEqual(20);
    expect(named).toBeGreaterThan(1);
    expect(smallest).toBeGreaterThan(120);
  });
});

describe('clusters', () => {
  it('have distances of 0 for equal graphs and 1 for graphs without a common feature', () => {
    const matrix = distances(
      [measured('a', [1, 1, 0]), measured('b', [2, 2, 0]), measured('c', [0, 0, 1])],
      3,
    );
    expect(matrix).toEqual([
      [0, 0, 1],
      [0, 0, 1],
      [1, 1, 0],
    ]);
    // min 1 + 1 of max 3 + 1
    expect(distances([measured('a', [1, 3]), measured('b', [1, 1])], 2)[0]![1]).toBeCloseTo(0.5);
  });

  it('are found where they are: as many as there are groups of near graphs', () => {
    const random = new Random(4);
    const place = Array.from({ length: 24 }, (_, i) => 10 * (i % 4) + random.next());
    const matrix = place.map((a) => place.map((b) => Math.abs(a - b)));
    const { clusters, silhouette, tree } = clusterGraphs(matrix, undefined);
    expect(clusters).toHaveLength(4);
    for (const own of clusters) expect(new Set(own.map((graph) => graph % 4)).size).toBe(1);
    expect(silhouette).toBeGreaterThan(0.9);
    expect(silhouette).toBeCloseTo(meanSilhouette(matrix, clusters));
    expect(tree.size).toBe(24);
    expect(clusterGraphs(matrix, 24).clusters).toHaveLength(24);
    expect(clusterGraphs(matrix, 24).silhouette).toBe(0);
    const [first] = clusters;
    const total = (graph: number): number => first!.reduce((sum, other) => sum + matrix[graph]![other]!, 0);
    expect(total(medoid(matrix, first!))).toBe(Math.min(...first!.map(total)));
  });
});
