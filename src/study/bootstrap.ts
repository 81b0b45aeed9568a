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
 * @param statistic of prompts, given by their indices below `count`; may be computed of the same prompt several times; the list is
 * used again for the next draw
 * Null where it is not a number, for all prompts or for some draw.
 */
export function bootstrap(
  count: number,
  statistic: (indices: readonly number[]) => number,
  seed: number,
): Estimate | null {
  const random = new Random(seed);
  const indices = Array.from({ length: count }, (_, i) => i);
  const value = statistic(indices);
  const drawn = new Float64Array(RESAMPLES);
  for (let draw = 0; draw < RESAMPLES; draw++) {
    for (let i = 0; i < count; i++) indices[i] = random.below(count);
    drawn[draw] = statistic(indices);
  }
  drawn.sort();
  if (!Number.isFinite(value) || !drawn.every((one) => Number.isFinite(one))) return null;
  const [low, high] = TAILS.map((tail) => quantileSorted(drawn as unknown as number[], tail));
  return { value, interval: [low!, high!] };
}
