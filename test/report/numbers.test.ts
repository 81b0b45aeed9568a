import { describe, expect, it } from '@jest/globals';
import {
  formatBytes,
  formatCount,
  formatDecimal,
  formatDuration,
  formatProbability,
  formatShape,
} from '../../src/report/numbers.ts';

describe('numbers for people', () => {
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.00 KiB'],
    [1.5 * 2 ** 20, '1.50 MiB'],
    [1023.9 * 2 ** 20, '1.00 GiB'],
    [4.873 * 2 ** 30, '4.87 GiB'],
    [5 * 2 ** 50, '5120 TiB'],
    [NaN, '-'],
  ])('%p bytes are %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  it.each([
    [0.42, '0.42 ms'],
    [12.34, '12.3 ms'],
    [1240, '1.24 s'],
    [59_990, '60.0 s'],
    [125_000, '2 min 05 s'],
    [3_719_000, '1 h 01 min'],
  ])('%p milliseconds are %s', (durationMs, text) => {
    expect(formatDuration(durationMs)).toBe(text);
  });

  it.each([
    [0, '0.00 %'],
    [0.00001, '< 0.01 %'],
    [0.0005, '0.05 %'],
    [0.4123, '41.2 %'],
    [1, '100.0 %'],
  ])('the probability %p is %s', (probability, text) => {
    expect(formatProbability(probability)).toBe(text);
  });

  it.each([
    [18.2149, '18.21'],
    [-0.03125, '-0.03125'],
    [1.234e-7, '1.234e-7'],
    [0, '0'],
    [null, '-'],
    [-Infinity, '-Infinity'],
  ])('%p is %s', (value, text) => {
    expect(formatDecimal(value)).toBe(text);
  });

  it('groups large counts and writes shapes as lists', () => {
    expect(formatCount(256000)).toBe('256,000');
    expect(formatShape(['pos', 2304])).toBe('[pos, 2304]');
  });
});
