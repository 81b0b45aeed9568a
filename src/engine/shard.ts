/** Engine: one of several parts of a work that processes take without knowing of each other. */

export interface Shard {
  /** Counts from 1, as test runners count theirs. */
  readonly part: number;
  readonly of: number;
}

/**
 * The items of a part, in their order. Parts follow one another and differ by one item at most; together they hold each item once. Parts
 * beyond the number of items are empty.
 */
export function partOf<T>(items: readonly T[], { part, of }: Shard): T[] {
  const startOf = (n: number): number => Math.floor((n * items.length) / of);
  return items.slice(startOf(part - 1), startOf(part));
}

/** `2/8` */
export function shownShard({ part, of }: Shard): string {
  return `${part}/${of}`;
}
