/**
 * Seeded random numbers, the same in every room and on every machine. Sampled tokens, the edges that are verified and the bytes of
 * a training depend on these draws: another algorithm, or another order of draws, changes what a seed stands for.
 */

const UINT32 = 2 ** 32;
/** A double holds 53 bits: 21 of one draw in front of the 32 of the next. */
const HIGH_BITS = 2 ** 21;

/** Mulberry32 (Tommy Ettinger). The whole state is one integer, which a checkpoint keeps. */
export class Random {
  state: number;

  constructor(seed: number) {
    this.state = seed >>> 0;
  }

  /** Uniform in [0, 1), in steps of 2^-32. */
  next(): number {
    return this.bits() / UINT32;
  }

  /** Uniform in [0, 1), in steps of 2^-53: for shares smaller than 2^-32, such as a token's probability. Takes two draws. */
  nextPrecise(): number {
    return ((this.bits() % HIGH_BITS) * UINT32 + this.bits()) / (HIGH_BITS * UINT32);
  }

  /** An integer in [0, n). */
  below(n: number): number {
    return Math.floor(this.next() * n);
  }

  /** Normal with mean 0 and variance 1: Box and Muller. */
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.next())) * Math.cos(2 * Math.PI * this.next());
  }

  normals(n: number, deviation: number): Float32Array {
    return Float32Array.from({ length: n }, () => deviation * this.normal());
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }

  /** One of the items, each as likely as its share of all weights. */
  weighted<T>(items: readonly T[], weightOf: (item: T) => number): T {
    let place = this.next() * items.reduce((sum, item) => sum + weightOf(item), 0);
    return items.find((item) => (place -= weightOf(item)) < 0) ?? items.at(-1)!;
  }

  shuffled<T>(items: readonly T[]): T[] {
    const out = [...items];
    for (let i = out.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [out[i], out[j]] = [out[j]!, out[i]!];
    }
    return out;
  }

  /** An integer in [0, 2^32). */
  private bits(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  }
}
