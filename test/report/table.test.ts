import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import stringWidth from 'string-width';
import { screenFor } from '../../src/report/screen.ts';
import { facts, sections, table } from '../../src/report/table.ts';
import { printable } from '../../src/report/text.ts';

const plain = screenFor({ isTTY: false }, {});

function screenOf(columns: number) {
  return { ...plain, columns };
}

describe('a table', () => {
  it('aligns numbers to the right and leaves no blanks at the end of a line', () => {
    const text = table([{ title: 'file' }, { title: 'size', align: 'right' }], [['a', '5 B'], ['longer', '1024 B']], plain); // prettier-ignore
    expect(text.split('\n')).toEqual(['file      size', 'a          5 B', 'longer  1024 B']);
  });

  it('breaks a long cell after a slash instead of cutting it', () => {
    const path = 'folder-of-the-first-kind/folder-of-the-second-kind/file.safetensors';
    const lines = table([{ title: 'path' }, { title: 'n' }], [[path, '7']], screenOf(40)).split('\n');
    expect(lines[1]).toMatch(/^folder-of-the-first-kind\/ +7$/);
    expect(lines.slice(1).map((line) => line.replace(/ +7$/, '')).join('')).toBe(path); // prettier-ignore
  });

  it('paints every line of a broken cell by itself', () => {
    const colored = screenFor({ isTTY: true }, {});
    const lines = facts([['key', { text: 'one two three four five six', paint: colored.paint.red }]], {
      ...colored,
      columns: 20,
    }).split('\n');
    expect(lines.length).toBeGreaterThan(1);
    for (const line of lines) expect(line.split('\x1b[31m').length).toBe(line.split('\x1b[39m').length);
    expect(lines.join('')).toContain('\x1b[31m');
  });

  it('breaks once more where a wide letter does not fit behind an early break', () => {
    const rows = [[' !!abc⺀', 'x'.repeat(20)]];
    for (const columns of [12, 13, 14]) {
      const lines = table([{ title: 'a' }, { title: 'b' }], rows, screenOf(columns)).split('\n');
      for (const line of lines) expect(stringWidth(line)).toBeLessThanOrEqual(columns);
    }
  });

  it('fits every screen that has room for its columns, and loses no letter', () => {
    const cell = fc.string({ unit: 'grapheme', maxLength: 60 }).map((text) => printable(text));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(cell, cell, cell), { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 20, max: 120 }),
        (rows, columns) => {
          const text = table([{ title: 'a' }, { title: 'b' }, { title: 'c' }], rows, screenOf(columns));
          for (const line of text.split('\n')) expect(stringWidth(line)).toBeLessThanOrEqual(columns);
          const letters = (value: string) =>
            [...value]
              .filter((letter) => letter !== ' ')
              .sort()
              .join('');
          expect(letters(text.replaceAll('\n', ''))).toBe(letters('abc' + rows.flat().join('')));
        },
      ),
    );
  });
});

describe('sections', () => {
  it('leaves out what has no body', () => {
    expect(
      sections(
        [
          [null, 'head'],
          ['Empty', null],
          ['Title', 'body'],
        ],
        plain,
      ),
    ).toBe('head\n\nTitle\nbody');
  });
});
