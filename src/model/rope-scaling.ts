/** Model: how rotary frequencies are rescaled for contexts longer than those of training. */

export type RotaryScaling =
  /** Every angle is divided by `factor`. */
  | { readonly kind: 'linear'; readonly factor: number }
  /** The frequency of each pair is divided by a number of its own. */
  | { readonly kind: 'divisors'; readonly divisors: readonly number[] }
  /** Long wavelengths are divided by `factor`, short ones stay, those between change gradually (Llama 3.1). */
  | {
      readonly kind: 'llama3';
      readonly factor: number;
      readonly low_freq_factor: number;
      readonly high_freq_factor: number;
      readonly original_max_position_embeddings: number;
    };

export interface ScaledFrequencies {
  /** Radians a position; null where they are 1 / divisor. */
  readonly frequencies: Float64Array | null;
  /** Of cos and sin. */
  readonly factor: number;
}

/** @param divisors base^(2i / dim) of each pair */
export function scaledFrequencies(divisors: Float64Array, scaling: RotaryScaling | null): ScaledFrequencies {
  if (!scaling) return { frequencies: null, factor: 1 };
  switch (scaling.kind) {
    case 'linear':
      return { frequencies: divisors.map((divisor) => 1 / (divisor * scaling.factor)), factor: 1 };
    case 'divisors':
      return { frequencies: divisors.map((divisor, i) => 1 / (divisor * scaling.divisors[i]!)), factor: 1 };
    case 'llama3': {
      const { factor, low_freq_factor: low, high_freq_factor: high } = scaling;
      const length = scaling.original_max_position_embeddings;
      const frequencies = divisors.map((divisor) => {
        const frequency = 1 / divisor;
        const wavelength = (2 * Math.PI) / frequency;
        if (wavelength > length / low) return frequency / factor;
        if (wavelength < length / high) return frequency;
        const t = (length / wavelength - low) / (high - low);
        return frequency * ((1 - t) / factor + t);
      });
      return { frequencies, factor: 1 };
    }
  }
}
