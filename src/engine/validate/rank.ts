/** Engine, `graph validate`: whether two lists of numbers have the same order. */

/**
 * Spearman's rank correlation, −1 to 1; equal numbers share the mean of their ranks. Null for fewer than two numbers and
 * where all are equal: there is no order then.
 */
export function rankCorrelation(a: readonly number[], b: readonly number[]): number | null {
  const [x, y] = [centredRanks(a), centredRanks(b)];
  const product = (u: readonly number[], w: readonly number[]): number =>
    u.reduce((sum, value, i) => sum + value * w[i]!, 0);
  const norm = Math.sqrt(product(x, x) * product(y, y));
  return norm === 0 ? null : product(x, y) / norm;
}

function centredRanks(values: readonly number[]): number[] {
  const order = values.map((_, i) => i).sort((i, j) => values[i]! - values[j]!);
  const ranks = new Array<number>(values.length).fill(0);
  const mean = (values.length - 1) / 2;
  for (let start = 0; start < order.length;) {
    let stop = start + 1;
    while (stop < order.length && values[order[stop]!] === values[order[start]!]) stop++;
    for (let i = start; i < stop; i++) ranks[order[i]!] = (start + stop - 1) / 2 - mean;
    start = stop;
  }
  return ranks;
}
