/** Study: an interval for a number that is computed from prompts, by drawing them again (Efron 1979). */
import { quantileSorted } from 'simple-statistics';
import { Random } from '../random.ts';

const RESAMPLES = 2000;
/** 95 % */
const TAILS = [0.025, 0.975] as const;

export interface Estimate {
  readonly value: number;
  /** 95 %, percentiles of the bootstrap. */
  readonly interval: readonly [low: number, high: number];
}

/**
 * @param statistic of prompts, given by their indices below `count`; may be computed of the same prompt several times
 * Null where it is not a number, for all prompts or for some draw.
 */
export function bootstrap(
  count: number,
  statistic: (indices: readonly number[]) => number,
  seed: number,
): Estimate | null {
  const random = new Random(seed);
  const value = statistic(Array.from({ length: count }, (_, i) => i));
  const drawn = Float64Array.from({ length: RESAMPLES }, () =>
    statistic(Array.from({ length: count }, () => random.below(count))),
  ).sort();
  if (!Number.isFinite(value) || !drawn.every(Number.isFinite)) return null;
  const [low, high] = TAILS.map((tail) => quantileSorted(drawn as unknown as number[], tail));
  return { value, interval: [low!, high!] };
}
