/**
 * Features, building: histograms of activations whose maximum is only known at the end. Bins start at 0 and are a power of
 * two wide, the smallest for which the largest activation falls into the last of them; when a larger one comes, bins are
 * joined in pairs. So the outcome does not depend on the order.
 */
export const HISTOGRAM_BINS = 20;
/** Of a feature without positive activations; float32 has no smaller number. */
const SMALLEST_EXPONENT = -149;

/** Histograms of n features. */
export class Histograms {
  /** [n, HISTOGRAM_BINS]; a bin holds up to four thousand million activations. */
  readonly counts: Uint32Array;
  /** Bins are 2^exponent wide, [n]. */
  readonly exponents: Int32Array;

  constructor(n: number) {
    this.counts = new Uint32Array(n * HISTOGRAM_BINS);
    this.exponents = new Int32Array(n).fill(SMALLEST_EXPONENT);
  }

  /** Counts an activation; negative ones (TopK may keep them) fall into the first bin. */
  add(feature: number, value: number): void {
    const start = feature * HISTOGRAM_BINS;
    let bin = 0;
    if (value > 0) {
      bin = Math.floor(value / this.binWidth(feature));
      if (bin >= HISTOGRAM_BINS) {
        this.#widen(feature, value);
        bin = Math.floor(value / this.binWidth(feature));
      }
    }
    this.counts[start + bin]!++;
  }

  /** Counts up to the bin of the largest activation. */
  of(feature: number, largest: number): number[] {
    const last = largest > 0 ? Math.floor(largest / this.binWidth(feature)) : 0;
    const start = feature * HISTOGRAM_BINS;
    return [...this.counts.subarray(start, start + last + 1)];
  }

  /** Width of the bins of a feature with a positive activation. */
  binWidth(feature: number): number {
    return 2 ** this.exponents[feature]!;
  }

  #widen(feature: number, value: number): void {
    const counts = this.counts.subarray(feature * HISTOGRAM_BINS, (feature + 1) * HISTOGRAM_BINS);
    let steps = exponentFor(value) - this.exponents[feature]!;
    this.exponents[feature]! += steps;
    for (; steps > 0 && counts.some((count, bin) => bin > 0 && count > 0); steps--) {
      for (let bin = 0; bin < HISTOGRAM_BINS; bin++) {
        const [even, odd] = [counts[2 * bin] ?? 0, counts[2 * bin + 1] ?? 0];
        counts[bin] = even + odd;
      }
    }
  }
}

/** The smallest exponent for which a positive value falls into one of the bins. */
function exponentFor(value: number): number {
  let exponent = Math.ceil(Math.log2(value / HISTOGRAM_BINS));
  while (value / 2 ** exponent >= HISTOGRAM_BINS) exponent++;
  while (exponent > SMALLEST_EXPONENT && value / 2 ** (exponent - 1) < HISTOGRAM_BINS) exponent--;
  return exponent;
}
