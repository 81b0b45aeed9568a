/** Page, parts: columns of a table, and its rows in the order of one of them. */
import type { ComponentChildren } from 'preact';

export interface Column<Item> {
  readonly name: string;
  readonly title: string;
  /** What it holds, where the title is short. */
  readonly hint?: string;
  /** Least width, in the size of the page's text. */
  readonly rem: number;
  /** Share of the width that is left; left out: none. */
  readonly grow?: number;
  readonly isNumber?: boolean;
  readonly cell: (item: Item) => ComponentChildren;
  /** What rows are sorted by; null is always last. */
  readonly value: (item: Item) => number | string | null;
}

export interface Sort {
  /** Name of a column. */
  readonly by: string;
  readonly isDescending: boolean;
}

const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: 'base' });

/** Without a column of that name the order stays. Rows of equal values keep theirs. */
export function sorted<Item>(
  items: readonly Item[],
  columns: readonly Column<Item>[],
  sort: Sort | null,
): readonly Item[] {
  const column = columns.find(({ name }) => name === sort?.by);
  if (sort === null || column === undefined) return items;
  const sign = sort.isDescending ? -1 : 1;
  const keyed = items.map((item) => ({ item, value: column.value(item) }));
  keyed.sort(({ value: a }, { value: b }) => {
    if (a === null || b === null) return Number(a === null) - Number(b === null);
    if (typeof a === 'number' && typeof b === 'number') return sign * (a - b);
    return sign * collator.compare(String(a), String(b));
  });
  return keyed.map(({ item }) => item);
}

/** The order after a click on the head of a column: numbers begin with the largest, words with the first. */
export function nextSort<Item>({ name, isNumber = false }: Column<Item>, before: Sort | null): Sort {
  if (before?.by === name) return { by: name, isDescending: !before.isDescending };
  return { by: name, isDescending: isNumber };
}

/** The tracks of a CSS grid, and the least width of all. */
export function tracksOf<Item>(columns: readonly Column<Item>[]): { tracks: string; least: string } {
  const tracks = columns.map(({ rem, grow }) =>
    grow === undefined ? `${rem}rem` : `minmax(${rem}rem, ${grow}fr)`,
  );
  return { tracks: tracks.join(' '), least: `${columns.reduce((sum, { rem }) => sum + rem, 0)}rem` };
}

/** As it is announced. */
export function sortWords<Item>({ title, isNumber = false }: Column<Item>, { isDescending }: Sort): string {
  const order = isNumber
    ? isDescending
      ? 'largest first'
      : 'smallest first'
    : isDescending
      ? 'from Z to A'
      : 'from A to Z';
  return `Sorted by ${title.toLowerCase()}, ${order}.`;
}
