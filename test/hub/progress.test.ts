import { describe, expect, it } from '@jest/globals';
import { type DownloadProgress, ProgressMeter } from '../../src/hub/progress.ts';
import { parseRetryAfter } from '../../src/hub/retry.ts';

const MB = 1_000_000;

function meter(totalBytes: number): { meter: ProgressMeter; seen: DownloadProgress[] } {
  const seen: DownloadProgress[] = [];
  return { meter: new ProgressMeter('file', totalBytes, (progress) => seen.push(progress)), seen };
}

describe('progress', () => {
  it('has a rate and a time left that leave out what was there before', () => {
    const { meter: counting, seen } = meter(100 * MB);
    counting.startAt(40 * MB, 0);
    counting.advanceTo(50 * MB, 1_000);
    expect(seen[0]).toMatchObject({ bytesDone: 40 * MB, bytesPerSecond: 0, secondsLeft: undefined });
    expect(seen[1]).toMatchObject({ bytesDone: 50 * MB, bytesPerSecond: 10 * MB, secondsLeft: 5 });
  });

  it('follows the rate of the last seconds', () => {
    const { meter: counting, seen } = meter(1_000 * MB);
    counting.startAt(0, 0);
    for (let second = 1; second <= 10; second++) counting.advanceTo(second * MB, second * 1_000);
    for (let second = 11; second <= 20; second++)
      counting.advanceTo((10 + (second - 10) * 20) * MB, second * 1_000);
    expect(seen.at(-1)!.bytesPerSecond).toBe(20 * MB);
  });

  it('is told ten times a second at most, and always at the end', () => {
    const { meter: counting, seen } = meter(1_000);
    counting.startAt(0, 0);
    for (let ms = 1; ms <= 1_000; ms++) counting.advanceTo(ms, ms);
    expect(seen.length).toBeLessThanOrEqual(12);
    expect(seen.at(-1)).toMatchObject({ bytesDone: 1_000, secondsLeft: 0 });
  });
});

describe('Retry-After', () => {
  it('is a number of seconds or a date', () => {
    const nowMs = Date.parse('2024-01-01T00:00:00Z');
    expect(parseRetryAfter('7', nowMs)).toBe(7_000);
    expect(parseRetryAfter('Mon, 01 Jan 2024 00:00:30 GMT', nowMs)).toBe(30_000);
    expect(parseRetryAfter('Sun, 31 Dec 2023 00:00:00 GMT', nowMs)).toBe(0);
    expect([parseRetryAfter(null), parseRetryAfter('soon')]).toEqual([undefined, undefined]);
  });
});
