/** Graph, pruning: the highest scores that together hold a share of the total. */

/** Calls back with every score once, in the same order each time. Scores are not negative. */
export type ForEachScore = (visit: (score: number) => void) => void;

/** Bits of a float64's upper word that a bin leaves out: 4 of the mantissa's 52 stay, so a bin spans at most 1/16. */
const DROPPED_BITS = 16;
const BINS = 1 << (32 - DROPPED_BITS - 1); // the sign bit is never set

/**
 * The score from which on scores are kept: sort descending, add up, and take the first place where the cumulative share
 * of the total reaches `share`; equal scores are kept together. Nothing is kept when there is no positive score.
 *
 * Nothing is sorted but one bin: the first visit adds up scores by their leading bits, which tells the bin where the
 * share is reached; the second collects that bin. Zeros never count. A share of 1 keeps every positive score, whatever
 * rounding says, so that no score has to be looked at.
 */
export function shareCut(forEachScore: ForEachScore, share: number): number {
  if (share >= 1) return Number.MIN_VALUE;
  const binOf = makeBinOf();
  const sums = new Float64Array(BINS);
  forEachScore((score) => {
    if (score === 0) return;
    sums[binOf(score)]! += score;
  });
  let total = 0;
  for (let bin = BINS - 1; bin >= 0; bin--) total += sums[bin]!;
  if (total === 0) return Infinity;
  let before = 0;
  let bin = BINS - 1;
  while (sums[bin] === 0 || (before + sums[bin]!) / total < share) before += sums[bin--]!;

  const candidates: number[] = [];
  forEachScore((score) => {
    if (score !== 0 && binOf(score) === bin) candidates.push(score);
  });
  const descending = Float64Array.from(candidates).sort().reverse();
  for (const score of descending) {
    before += score;
    if (before / total >= share) return score;
  }
  return descending.at(-1)!; // the bin's sum was rounded in another order
}

/** Leading bits of a positive float64, which grow with the number. */
function makeBinOf(): (score: number) => number {
  const value = new DataView(new ArrayBuffer(Float64Array.BYTES_PER_ELEMENT));
  return (score) => {
    value.setFloat64(0, score);
    return value.getUint32(0) >>> DROPPED_BITS;
  };
}

/**
 * Cumulative share of each score at its place in the descending order, `[n]`; equal scores in order of index. All ones
 * when there is no positive score.
 */
export function cumulativeShares(scores: Float64Array): Float64Array {
  const order = Array.from(scores.keys()).sort((a, b) => scores[b]! - scores[a]! || a - b);
  const total = order.reduce((sum, index) => sum + scores[index]!, 0);
  const shares = new Float64Array(scores.length).fill(1);
  if (total === 0) return shares;
  let sum = 0;
  for (const index of order) {
    sum += scores[index]!;
    shares[index] = sum / total;
  }
  return shares;
}
