/** Engine: range and middle of a per-feature number. */
import type { Spread } from './result.ts';

/** Smallest, middle and largest value; the median of an even number of values is the mean of the two in the middle. */
export function spreadOf(values: Float32Array | Float64Array): Spread {
  const sorted = values.slice().sort();
  const n = sorted.length;
  const middle = n % 2 === 1 ? sorted[(n - 1) / 2]! : (sorted[n / 2 - 1]! + sorted[n / 2]!) / 2;
  return { min: sorted[0]!, median: middle, max: sorted[n - 1]! };
}
