/**
 * Features, building: which windows of text are kept for each feature while a corpus goes by, in arrays of fixed size: the
 * strongest ones, and a sample drawn evenly from all in which the feature is active.
 */

export type RankedBy = 'strength' | 'chance';

/** Offsets of records in the spool, a few for each of n features, by falling rank; of equal ranks the earlier comes first. */
export class ChosenExamples {
  readonly capacity: number;
  /** [n] */
  readonly sizes: Uint32Array;
  /** Activation at the strongest token of the window, [n, capacity]. */
  readonly strengths: Float32Array;
  /** Values ranked by, [n, capacity]: the strengths themselves, or numbers that were drawn. */
  readonly ranks: Float32Array | Uint32Array;
  /** Offsets in the spool, [n, capacity]. */
  readonly offsets: Float64Array;

  constructor(n: number, capacity: number, rankedBy: RankedBy) {
    this.capacity = capacity;
    this.sizes = new Uint32Array(n);
    this.strengths = new Float32Array(n * capacity);
    this.ranks = rankedBy === 'strength' ? this.strengths : new Uint32Array(n * capacity);
    this.offsets = new Float64Array(n * capacity);
  }

  /** Bytes for each feature. */
  static bytesPerFeature(capacity: number, rankedBy: RankedBy): number {
    return 4 + capacity * (4 + (rankedBy === 'strength' ? 0 : 4) + 8);
  }

  /** Whether an example of this rank would be kept. */
  takes(feature: number, rank: number): boolean {
    const { capacity, ranks } = this;
    const size = this.sizes[feature]!;
    return size < capacity || rank > ranks[feature * capacity + size - 1]!;
  }

  /** Keeps an example that `takes` was true for; at full capacity the last one is dropped. */
  add(feature: number, rank: number, strength: number, offset: number): void {
    const { capacity, ranks, strengths, offsets } = this;
    const start = feature * capacity;
    const size = Math.min(capacity, this.sizes[feature]! + 1);
    let at = start + size - 1;
    for (; at > start && ranks[at - 1]! < rank; at--) {
      ranks[at] = ranks[at - 1]!;
      strengths[at] = strengths[at - 1]!;
      offsets[at] = offsets[at - 1]!;
    }
    ranks[at] = rank;
    strengths[at] = strength;
    offsets[at] = offset;
    this.sizes[feature] = size;
  }

  /** Those of a feature, by falling rank. */
  of(feature: number): { readonly strength: number; readonly offset: number }[] {
    const start = feature * this.capacity;
    return Array.from({ length: this.sizes[feature]! }, (_, i) => ({
      strength: this.strengths[start + i]!,
      offset: this.offsets[start + i]!,
    }));
  }
}

/**
 * Uniform numbers that depend only on the item, so that a corpus gives the same sample whenever it is read: a hash
 * of layer, feature and number of the window, from 0 to 2^32 - 1.
 */
export function chance(layer: number, feature: number, window: number): number {
  let h = 0x9747b28c;
  for (const word of [layer, feature, window % 2 ** 32, Math.floor(window / 2 ** 32)]) {
    h = Math.imul(h ^ word, 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35); // constants of MurmurHash3's last step
    h ^= h >>> 16;
  }
  return h >>> 0;
}
