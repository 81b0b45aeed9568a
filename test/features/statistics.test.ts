import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { chance, ChosenExamples } from '../../src/features/chosen-examples.ts';
import { Histograms } from '../../src/features/histogram.ts';
import { bruteHistogram } from './brute-force.ts';

const activation = fc
  .float({ min: Math.fround(-5), max: Math.fround(1e6), noNaN: true, noDefaultInfinity: true })
  .filter((value) => value !== 0);

describe('a histogram', () => {
  it('is the same in whatever order activations come, and the one that knows the largest before', () => {
    fc.assert(
      fc.property(fc.array(activation, { minLength: 1, maxLength: 80 }), (values) => {
        const { histogram: expected, histogram_bin_width } = bruteHistogram(values);
        for (const order of [values, [...values].reverse(), [...values].sort((a, b) => a - b)]) {
          const histograms = new Histograms(2);
          for (const value of order) histograms.add(1, value);
          expect(histograms.of(1, Math.max(...values))).toEqual(expected);
          if (histogram_bin_width !== undefined) expect(histograms.binWidth(1)).toBe(histogram_bin_width);
          expect(histograms.of(0, 0)).toEqual([0]);
        }
        expect(expected.length).toBeLessThanOrEqual(20);
      }),
    );
  });

  it('has at least ten bins where activations are positive', () => {
    const histograms = new Histograms(1);
    for (const value of [1e-30, 1e-3, 7]) histograms.add(0, value);
    expect(histograms.of(0, 7).length).toBeGreaterThanOrEqual(10);
    expect(histograms.of(0, 7).reduce((sum, count) => sum + count)).toBe(3);
  });
});

describe('chosen examples', () => {
  it('are the strongest, the earlier of equals first, as if all had been sorted', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 60 }), (strengths) => {
        const chosen = new ChosenExamples(3, 4, 'strength');
        strengths.forEach((strength, offset) => {
          if (chosen.takes(1, strength)) chosen.add(1, strength, strength, offset);
        });
        const sorted = strengths
          .map((strength, offset) => ({ strength, offset }))
          .sort((a, b) => b.strength - a.strength || a.offset - b.offset);
        expect(chosen.of(1)).toEqual(sorted.slice(0, 4));
        expect(chosen.of(0)).toEqual([]);
      }),
    );
  });

  it('are drawn evenly', () => {
    const bins = new Array<number>(10).fill(0);
    const n = 20_000;
    for (let i = 0; i < n; i++) bins[Math.floor((chance(i % 26, i % 977, i) / 2 ** 32) * 10)]!++;
    // Ten standard deviations of a bin.
    for (const count of bins) expect(Math.abs(count - n / 10)).toBeLessThan(10 * Math.sqrt(n * 0.09));
    expect(chance(1, 2, 3)).toBe(chance(1, 2, 3));
    expect(new Set([chance(1, 2, 3), chance(2, 1, 3), chance(1, 2, 4), chance(1, 2, 3 + 2 ** 32)]).size).toBe(
      4,
    );
  });
});
