/** Tables that fit the screen: columns without a frame; long cells are wrapped. */
import CliTable from 'cli-table3';
import stringWidth from 'string-width';
import type { Screen } from './screen.ts';

const GAP = '  ';
/** Width below which a column is not narrowed as long as another one can be. */
const NARROWEST_FLEXIBLE = 12;
/** Smallest width of a column; on a narrower screen the terminal wraps. */
const NARROWEST = 4;

/** Lines are broken after one of these if possible. */
const BREAKS = [' ', ',', '/'] as const;

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });

/** cli-table3 without any frame. */
const NO_FRAME = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: GAP,
};

export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
}

/** Text, or text with its colour, which are separate so that wrapping does not split a colour code. */
export type Cell = string | { readonly text: string; readonly paint: (text: string) => string };

function textOf(cell: Cell): string {
  return typeof cell === 'string' ? cell : cell.text;
}

function cellWidth(cell: Cell): number {
  return textOf(cell)
    .split('\n')
    .reduce((widest, line) => Math.max(widest, stringWidth(line)), 0);
}

/** Widths that together fit into `available`: the widest column is narrowed first. */
function fitWidths(natural: readonly number[], available: number): number[] {
  const widths = [...natural];
  const total = () => widths.reduce((sum, width) => sum + width, 0);
  for (const narrowest of [NARROWEST_FLEXIBLE, NARROWEST]) {
    while (total() > available) {
      const widest = widths.indexOf(widths.reduce((a, b) => Math.max(a, b)));
      if (widths[widest]! <= narrowest) break;
      widths[widest]!--;
    }
  }
  return widths;
}

/** Breaks after the last space, comma or slash that fits; text without any of them at the width. */
function wrap(text: string, width: number): string[] {
  return text.split('\n').flatMap((line) => wrapLine(line, width));
}

function wrapLine(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const { segment } of graphemes.segment(text)) {
    let next = segment;
    // The rest after a break may still be too wide, if a wide character follows.
    while (line !== '' && stringWidth(line + next) > width) {
      const breakAfter =
        next === ' '
          ? line.length
          : BREAKS.reduce((at, mark) => Math.max(at, line.lastIndexOf(mark)), -1) + 1;
      const kept = breakAfter > 0 ? line.slice(0, breakAfter) : line;
      lines.push(kept.trimEnd());
      line = line.slice(kept.length);
      if (next === ' ') next = '';
    }
    line += next;
  }
  return [...lines, line];
}

function render(
  rows: readonly (readonly Cell[])[],
  alignments: readonly ('left' | 'right')[],
  screen: Screen,
): string {
  // No spread into Math.max: a long table would exceed the number of arguments.
  const natural = alignments.map((_, column) =>
    rows.reduce((widest, row) => Math.max(widest, cellWidth(row[column] ?? '')), 1),
  );
  const widths = fitWidths(natural, screen.columns - GAP.length * (alignments.length - 1));
  const table = new CliTable({
    chars: NO_FRAME,
    // cli-table3 adds colours unless its colour lists are empty.
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [], compact: true },
    colAligns: [...alignments],
  });
  for (const row of rows) {
    const cells = row.map((cell, column) => {
      const lines = wrap(textOf(cell), widths[column]!);
      return (typeof cell === 'string' ? lines : lines.map((line) => cell.paint(line))).join('\n');
    });
    table.push(cells);
  }
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

/** A table with titles. Text of cells has to be printable (see `text.ts`); line feeds are kept. */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  screen: Screen,
): string {
  const titles = columns.map((column) => ({ text: column.title, paint: screen.paint.dim }));
  return render(
    [titles, ...rows],
    columns.map((column) => column.align ?? 'left'),
    screen,
  );
}

/** Names and values, one pair on each line. */
export function facts(pairs: readonly (readonly [name: string, value: Cell])[], screen: Screen): string {
  return render(
    pairs.map(([name, value]) => [{ text: name, paint: screen.paint.dim }, value]),
    ['left', 'left'],
    screen,
  );
}

/** Parts of a view with their titles, separated by empty lines; parts without a body are left out. */
export function sections(
  parts: readonly (readonly [title: string | null, body: string | null])[],
  screen: Screen,
): string {
  return parts
    .filter((part): part is readonly [string | null, string] => part[1] !== null)
    .map(([title, body]) => (title === null ? body : `${screen.paint.bold(title)}\n${body}`))
    .join('\n\n');
}
