/**
 * Study, `contrast`: what differs between two groups of graphs. A permutation test: if the groups did not differ, any other division of
 * the same graphs would have been as likely. All features and links are tested at once, so the largest difference of each division is
 * what an observed one has to exceed (Westfall and Young 1993): of all that is named at 5 %, nothing is wrong in 95 of 100 studies.
 */
import { yieldToEventLoop } from '../backend/event-loop.ts';
import { Random } from '../random.ts';
import type { Measured } from './sample.ts';

/** Divisions between two looks at the signal. */
const STEP = 20;
/** A sum in another order may differ by so much of itself. */
const ROUNDING = 1e-9;

export interface Difference {
  readonly n_a: number;
  readonly n_b: number;
  /** Mean influence over all graphs of a group, zero where it is not. */
  readonly mean_a: number;
  readonly mean_b: number;
  /** `mean_a` - `mean_b` */
  readonly difference: number;
  /** The difference in standard deviations over both groups together, which no division changes: comparable between features. */
  readonly statistic: number;
  /** Share of divisions in which it differs as much. */
  readonly p: number;
  /** Share of divisions in which anything differs as much: corrected for the number of tests. */
  readonly p_adjusted: number;
}

export interface ContrastOptions {
  readonly permutations: number;
  readonly seed: number;
  readonly signal?: AbortSignal | undefined;
  /** Called between divisions with the number of those that are done. */
  readonly onDivisions?: ((done: number) => void) | undefined;
}

/**
 * Differences of everything whose influence is not the same in all graphs, in the order given. Divisions are drawn at random; p-values
 * count the observed one among them, so the smallest is 1 / (permutations + 1).
 *
 * @param inA of each graph of the sample whether it is in the first group; the others are in the second
 */
export async function differences(
  measured: readonly Measured[],
  inA: Uint8Array,
  { permutations, seed, signal, onDivisions }: ContrastOptions,
): Promise<(Difference | undefined)[]> {
  const tests = new Tests(measured, inA);
  const observed = tests.statistics(inA).slice();
  const asLarge = new Float64Array(observed.length).fill(1);
  const anyAsLarge = new Float64Array(observed.length).fill(1);
  const random = new Random(seed);
  const labels = inA.slice();
  for (let i = 0; i < permutations; i++) {
    if (i % STEP === 0) {
      await yieldToEventLoop();
      signal?.throwIfAborted();
      onDivisions?.(i);
    }
    shuffle(labels, random);
    const drawn = tests.statistics(labels);
    let largest = 0;
    for (let test = 0; test < drawn.length; test++) {
      const size = Math.abs(drawn[test]!);
      if (size > largest) largest = size;
      if (size >= Math.abs(observed[test]!) * (1 - ROUNDING)) asLarge[test]! += 1;
    }
    for (let test = 0; test < drawn.length; test++) {
      if (largest >= Math.abs(observed[test]!) * (1 - ROUNDING)) anyAsLarge[test]! += 1;
    }
  }
  const found: (Difference | undefined)[] = measured.map(() => undefined);
  tests.indices.forEach((index, test) => {
    found[index] = {
      ...tests.means(measured[index]!),
      statistic: observed[test]!,
      p: asLarge[test]! / (permutations + 1),
      p_adjusted: anyAsLarge[test]! / (permutations + 1),
    };
  });
  return found;
}

/** The influences of everything that is tested, one after the other. */
class Tests {
  /** Of what was measured, what is tested. */
  readonly indices: readonly number[];
  readonly #inA: Uint8Array;
  readonly #sizes: readonly [a: number, b: number];
  readonly #starts: Int32Array;
  readonly #graphs: Int32Array;
  readonly #values: Float64Array;
  readonly #sums: Float64Array;
  readonly #deviations: Float64Array;
  readonly #out: Float64Array;

  constructor(measured: readonly Measured[], inA: Uint8Array) {
    const n = inA.length;
    this.#inA = inA;
    const n_a = inA.reduce((sum, one) => sum + one, 0);
    this.#sizes = [n_a, n - n_a];
    const spread = measured.map(({ values }) => deviation(values, n));
    this.indices = [...measured.keys()].filter((index) => spread[index]! > 0);
    const chosen = this.indices.map((index) => measured[index]!);
    this.#starts = new Int32Array(chosen.length + 1);
    chosen.forEach(({ at }, test) => (this.#starts[test + 1] = this.#starts[test]! + at.length));
    this.#graphs = Int32Array.from(chosen.flatMap(({ at }) => at));
    this.#values = Float64Array.from(chosen.flatMap(({ values }) => values));
    this.#sums = Float64Array.from(chosen, ({ values }) => values.reduce((sum, value) => sum + value, 0));
    this.#deviations = Float64Array.from(this.indices, (index) => spread[index]!);
    this.#out = new Float64Array(chosen.length);
  }

  /** For one division; the array is used again by the next call. */
  statistics(inA: Uint8Array): Float64Array {
    const [n_a, n_b] = this.#sizes;
    for (let test = 0; test < this.#out.length; test++) {
      let sum = 0;
      const stop = this.#starts[test + 1]!;
      for (let i = this.#starts[test]!; i < stop; i++) sum += inA[this.#graphs[i]!]! * this.#values[i]!;
      this.#out[test] = (sum / n_a - (this.#sums[test]! - sum) / n_b) / this.#deviations[test]!;
    }
    return this.#out;
  }

  means({ at, values }: Measured): Omit<Difference, 'statistic' | 'p' | 'p_adjusted'> {
    const sums = [0, 0];
    const counts = [0, 0];
    at.forEach((graph, i) => {
      const side = this.#inA[graph] === 1 ? 0 : 1;
      counts[side]! += 1;
      sums[side]! += values[i]!;
    });
    const [mean_a, mean_b] = [sums[0]! / this.#sizes[0], sums[1]! / this.#sizes[1]];
    return { n_a: counts[0]!, n_b: counts[1]!, mean_a, mean_b, difference: mean_a - mean_b };
  }
}

/** Over `n` graphs, of which those that are not listed have zero; zero also for what differs by rounding only. */
function deviation(values: readonly number[], n: number): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  const listed = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const variance = (listed + (n - values.length) * mean ** 2) / n;
  return Math.sqrt(variance) > ROUNDING * Math.abs(mean) ? Math.sqrt(variance) : 0;
}

function shuffle(labels: Uint8Array, random: Random): void {
  for (let i = labels.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    const own = labels[i]!;
    labels[i] = labels[j]!;
    labels[j] = own;
  }
}
