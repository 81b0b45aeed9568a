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
    }
  /**
   * Pairs that turn less than `beta_slow` times over the length of training are divided by `factor`, those that turn more than
   * `beta_fast` times stay, those between change gradually; cos and sin are multiplied by `attention_factor` (YaRN).
   */
  | {
      readonly kind: 'yarn';
      readonly factor: number;
      readonly original_max_position_embeddings: number;
      readonly beta_fast: number;
      readonly beta_slow: number;
      /** Whether the bounds are rounded to whole pairs. */
      readonly truncate: boolean;
      readonly attention_factor: number;
    };

type Yarn = Extract<RotaryScaling, { kind: 'yarn' }>;

export interface ScaledFrequencies {
  /** Radians a position; null where they are 1 / divisor. */
  readonly frequencies: Float64Array | null;
  /** Of cos and sin. */
  readonly factor: number;
}

/** @param divisors base^(2i / dim) of each pair i */
export function scaledFrequencies(
  divisors: Float64Array,
  base: number,
  scaling: RotaryScaling | null,
): ScaledFrequencies {
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
    case 'yarn': {
      const [low, high] = yarnRange(2 * divisors.length, base, scaling);
      const frequencies = divisors.map((divisor, i) => {
        const ramp = Math.min(1, Math.max(0, (i - low) / (high - low)));
        return (ramp / scaling.factor + (1 - ramp)) / divisor;
      });
      return { frequencies, factor: scaling.attention_factor };
    }
  }
}

/** Keeps the bounds of a range apart where they are equal, as transformers does. */
const LEAST_RANGE = 0.001;

/** The pairs between which frequencies change gradually. */
function yarnRange(dim: number, base: number, scaling: Yarn): [low: number, high: number] {
  const length = scaling.original_max_position_embeddings;
  const pairOf = (turns: number): number =>
    (dim * Math.log(length / (turns * 2 * Math.PI))) / (2 * Math.log(base));
  const [first, last] = [pairOf(scaling.beta_fast), pairOf(scaling.beta_slow)];
  const low = Math.max(scaling.truncate ? Math.floor(first) : first, 0);
  const high = Math.min(scaling.truncate ? Math.ceil(last) : last, dim - 1);
  return [low, high === low ? high + LEAST_RANGE : high];
}
