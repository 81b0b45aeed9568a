/** What every backend promises about entries of matrices: which are found, in which order, and as which bits. */
import { expect, it } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import type { Entries, EntryRule } from '../../../src/backend/entries.ts';
import { describeEachBackend } from '../../support/backends.ts';
import { randomBits } from '../../support/matrices.ts';

/** Numbers of few values, so that many are equal, and some that are special. */
function numbers(rows: number, columns: number, seed: number, special: readonly number[] = []): Float32Array {
  const next = randomBits(seed);
  return Float32Array.from({ length: rows * columns }, () => {
    const bits = next();
    return special.length > 0 && bits % 97 === 0
      ? special[(bits >>> 8) % special.length]!
      : ((bits >>> 4) % 41) / 8 - 2.5;
  });
}

/** Larger than -infinity is every number, larger than infinity NaN alone. */
function compare(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  return a === b ? 0 : a < b ? -1 : 1;
}

/** The definition, by sorting. */
function expectedColumns(row: Float32Array, rule: EntryRule): number[] {
  if (rule.kind === 'above') {
    const limitOf = (i: number): number => rule.thresholds[rule.thresholds.length === 1 ? 0 : i]!;
    return [...row.keys()].filter((i) => row[i] !== 0 && compare(row[i]!, limitOf(i)) > 0);
  }
  const size = row.length / rule.groups;
  const chosen = Array.from({ length: rule.groups }, (_, group) =>
    Array.from({ length: size }, (_, i) => group * size + i)
      .sort((a, b) => compare(row[b]!, row[a]!) || a - b)
      .slice(0, rule.kept),
  ).flat();
  return chosen.filter((i) => row[i] !== 0 && !(rule.isPositive && row[i]! < 0)).sort((a, b) => a - b);
}

function expected(values: Float32Array, columns: number, rule: EntryRule, firstRow: number): number[][] {
  const entries: number[][] = [];
  for (let row = firstRow; row < values.length / columns; row++) {
    const own = values.subarray(row * columns, (row + 1) * columns);
    for (const column of expectedColumns(own, rule)) entries.push([row, column, bitsOf(own[column]!)]);
  }
  return entries;
}

function bitsOf(value: number): number {
  return new Int32Array(Float32Array.of(value).buffer)[0]!;
}

function listed({ rows, columns, values }: Entries): number[][] {
  return Array.from(values, (value, i) => [rows[i]!, columns[i]!, bitsOf(value)]);
}

/** TensorFlow's arithmetic flushes them. */
const SUBNORMAL = process.env['TRACER_KERNEL'] === 'card' ? [] : [1e-40, -1e-40];
const SPECIAL = [NaN, Infinity, -Infinity, -0, 0, 3e38, ...SUBNORMAL];

describeEachBackend('entries of a matrix', (backend) => {
  const find = async (values: Float32Array, columns: number, rule: EntryRule, firstRow = 0) => {
    using finder = backend().entryFinder(rule);
    const before = tf.memory().numTensors;
    const matrix = tf.tensor2d(values, [values.length / columns, columns]);
    const entries = await finder.find(matrix, firstRow);
    matrix.dispose();
    expect(tf.memory().numTensors).toBe(before);
    return entries;
  };

  const rules: Record<string, (columns: number) => EntryRule> = {
    'above 0': () => ({ kind: 'above', thresholds: Float32Array.of(0) }),
    'above thresholds': (columns) => ({ kind: 'above', thresholds: numbers(1, columns, 9) }),
    'the largest': () => ({ kind: 'largest', kept: 7, groups: 1, isPositive: false }),
    'the largest that are positive': () => ({ kind: 'largest', kept: 300, groups: 1, isPositive: true }),
    'the largest of groups': () => ({ kind: 'largest', kept: 2, groups: 5, isPositive: true }),
    'all of groups': () => ({ kind: 'largest', kept: 5000, groups: 5, isPositive: false }),
  };
  const sizes = [[1, 5], [3, 255], [7, 770], [40, 15], [2, 5000]] as const; // prettier-ignore
  const cases = Object.keys(rules).flatMap((name) => sizes.map(([n, columns]) => ({ name, n, columns })));

  it.each(cases)('are $name, of [$n, $columns], by row and column', async ({ name, n, columns }) => {
    const rule = rules[name]!(columns);
    const values = numbers(n, columns, n + columns, SPECIAL);
    for (const firstRow of [0, 1]) {
      const entries = await find(values, columns, rule, firstRow);
      expect(listed(entries)).toEqual(expected(values, columns, rule, firstRow));
      expect(entries.areAllFinite).toBe(values.every(Number.isFinite));
    }
  });

  it('are none where no row is searched', async () => {
    const rule: EntryRule = { kind: 'above', thresholds: Float32Array.of(-9) };
    const entries = await find(numbers(4, 20, 1), 20, rule, 4);
    expect(listed(entries)).toEqual([]);
    expect(entries.areAllFinite).toBe(true);
  });

  it('says that a number is not finite, also where it is not searched or wanted', async () => {
    const rule: EntryRule = { kind: 'above', thresholds: Float32Array.of(1) };
    for (const odd of [-Infinity, Infinity, NaN]) {
      const values = numbers(3, 20, 1);
      values[7] = odd;
      expect((await find(values, 20, rule, 1)).areAllFinite).toBe(false);
    }
    expect((await find(numbers(3, 20, 1), 20, rule, 1)).areAllFinite).toBe(true);
  });

  it('are found by one finder in matrices of other sizes and with more entries than the ones before', async () => {
    const rule: EntryRule = { kind: 'above', thresholds: Float32Array.of(2.4) };
    using finder = backend().entryFinder(rule);
    for (const [n, added] of [
      [2, 0],
      [12, 0],
      [12, 5],
      [3, 5],
      [12, 5],
    ] as const) {
      // prettier-ignore
      const values = numbers(n, 2000, n).map((value) => value + added);
      const matrix = tf.tensor2d(values, [n, 2000]);
      expect(listed(await finder.find(matrix, 0))).toEqual(expected(values, 2000, rule, 0));
      matrix.dispose();
    }
  });
});
