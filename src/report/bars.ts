/** Bars of signed numbers in tables, in proportion to the largest of a list. */
import type { Screen } from './screen.ts';
import type { Cell } from './table.ts';

/** Length of the longest bar, in characters. */
const BAR_COLUMNS = 16;

/** Positive and negative numbers differ in their sign, which the number beside the bar has, and in colour. */
export function bar(value: number, largest: number, screen: Screen): Cell {
  const length = largest > 0 ? Math.round((Math.abs(value) / largest) * BAR_COLUMNS) : 0;
  const { cyan, magenta } = screen.paint;
  return { text: '█'.repeat(length), paint: value < 0 ? magenta : cyan };
}

export function largestOf(values: Iterable<{ readonly value: number }>): number {
  let largest = 0;
  for (const { value } of values) largest = Math.max(largest, Math.abs(value));
  return largest;
}
