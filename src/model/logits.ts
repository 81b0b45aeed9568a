/** Model: what a row of logits says, in plain numbers. */

/** Softmax of a row of logits [d_vocab], summed in double precision. */
export function softmax(logits: Float32Array): Float64Array {
  let largest = -Infinity;
  for (const logit of logits) if (logit > largest) largest = logit;
  const probabilities = Float64Array.from(logits, (logit) => Math.exp(logit - largest));
  let sum = 0;
  for (const p of probabilities) sum += p;
  return probabilities.map((p) => p / sum);
}

/** Up to so many largest values are kept sorted while all are looked at once; more are found by sorting everything. */
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
