/** Model: probabilities and largest values of a row of logits, on plain arrays. */

/** Softmax of a row of logits [d_vocab], summed in double precision. */
export function softmax(logits: Float32Array): Float64Array {
  let largest = -Infinity;
  for (const logit of logits) if (logit > largest) largest = logit;
  // Plain loops: with callbacks, a vocabulary of 256,000 takes 20 times as long.
  const probabilities = new Float64Array(logits.length);
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += probabilities[i] = Math.exp(logits[i]! - largest);
  for (let i = 0; i < logits.length; i++) probabilities[i]! /= sum;
  return probabilities;
}

/** Up to so many largest values are kept sorted during one pass over all values; more are found by sorting everything. */
const FEW = 256;

/** Indices of the k largest values, largest first; of equal ones the smaller index first. */
export function largestIndices(values: ArrayLike<number>, k: number): number[] {
  if (k > FEW) {
    const all = Array.from({ length: values.length }, (_, i) => i);
    return all.sort((a, b) => values[b]! - values[a]! || a - b).slice(0, k);
  }
  const best: number[] = [];
  for (let i = 0; i < values.length; i++) {
    if (best.length === k && values[i]! <= values[best[k - 1]!]!) continue;
    let place = best.length;
    while (place > 0 && values[best[place - 1]!]! < values[i]!) place--;
    best.splice(place, 0, i);
    if (best.length > k) best.pop();
  }
  return best;
}
