/** The order of the rows of a table. */
import { describe, expect, it } from '@jest/globals';
import { nextSort, sorted, sortWords, tracksOf, type Column } from '../../page/src/parts/table-order.ts';

interface Item {
  readonly name: string;
  readonly score: number | null;
}

const NAME: Column<Item> = {
  name: 'name',
  title: 'Name',
  rem: 5,
  grow: 2,
  cell: () => null,
  value: ({ name }) => name,
};
const SCORE: Column<Item> = {
  ...{ name: 'score', title: 'Score', rem: 4, isNumber: true },
  cell: () => null,
  value: ({ score }) => score,
};
const COLUMNS = [NAME, SCORE];
const ITEMS: readonly Item[] = [
  { name: 'prompt-10', score: 0.5 },
  { name: 'prompt-9', score: null },
  { name: 'Prompt-1', score: 0.5 },
  { name: 'other', score: 2 },
];
const names = (by: string, isDescending: boolean) =>
  sorted(ITEMS, COLUMNS, { by, isDescending }).map(({ name }) => name);

describe('a table', () => {
  it('has words as people sort them, with numbers in them and whatever their case', () => {
    expect(names('name', false)).toEqual(['other', 'Prompt-1', 'prompt-9', 'prompt-10']);
    expect(names('name', true)).toEqual(['prompt-10', 'prompt-9', 'Prompt-1', 'other']);
  });

  it('has what lacks a value last, and equal values in the order in which they came', () => {
    expect(names('score', true)).toEqual(['other', 'prompt-10', 'Prompt-1', 'prompt-9']);
    expect(names('score', false)).toEqual(['prompt-10', 'Prompt-1', 'other', 'prompt-9']);
  });

  it('stays as it is without an order, or for a column that is not there', () => {
    expect(sorted(ITEMS, COLUMNS, null)).toBe(ITEMS);
    expect(sorted(ITEMS, COLUMNS, { by: 'other', isDescending: true })).toBe(ITEMS);
  });

  it('begins with the largest number or the first word, then turns round, and says so', () => {
    const first = nextSort(SCORE, null);
    expect(sortWords(SCORE, first)).toBe('Sorted by score, largest first.');
    expect(sortWords(SCORE, nextSort(SCORE, first))).toBe('Sorted by score, smallest first.');
    expect(sortWords(NAME, nextSort(NAME, first))).toBe('Sorted by name, from A to Z.');
    expect(sortWords(NAME, { by: 'name', isDescending: true })).toBe('Sorted by name, from Z to A.');
  });

  it('has tracks that share what is left of the width', () => {
    expect(tracksOf(COLUMNS)).toEqual({ tracks: 'minmax(5rem, 2fr) 4rem', least: '9rem' });
  });
});
