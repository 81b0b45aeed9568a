/** Views of `graph collect` and `graph query`. */
import type { CollectResult, QueryResult } from '../engine/study/types.ts';
import { csv } from '../graph/export.ts';
import type { JsonValue } from '../graph/graph.ts';
import { formatBytes, formatCount, formatDecimal, NO_NUMBER } from './numbers.ts';
import type { Screen } from './screen.ts';
import { facts, sections, table, type Column } from './table.ts';
import { printable } from './text.ts';

/** Rows of a query on the screen; --json and --csv have all of them. */
const MOST_ROWS = 100;
const NUMERIC = /^(?:U?(?:TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)|FLOAT|DOUBLE|DECIMAL.*)$/;

export function collectView(result: CollectResult, screen: Screen): string {
  const counts = facts(
    [
      ['study', printable(result.study)],
      ['graphs', formatCount(result.n_graphs)],
      ['nodes', formatCount(result.n_nodes)],
      ['edges', formatCount(result.n_edges)],
      ['features', formatCount(result.n_features)],
      ['columns of the list', result.metadata.map(({ column }) => printable(column)).join(', ') || NO_NUMBER],
      ['left out', formatCount(result.skipped.length)],
      ['peak memory', formatBytes(result.peak_rss_bytes)],
    ],
    screen,
  );
  const files = result.files.map(({ path, bytes }) => [printable(path), formatBytes(bytes)]);
  const skipped = result.skipped.map(({ slug, message }) => [printable(slug), printable(message)]);
  return sections(
    [
      [null, counts],
      ['Files', table([{ title: 'file' }, { title: 'size', align: 'right' }], files, screen)],
      [
        'Left out',
        skipped.length === 0 ? null : table([{ title: 'graph' }, { title: 'reason' }], skipped, screen),
      ],
    ],
    screen,
  );
}

export function queryView({ columns, rows, n_rows }: QueryResult, screen: Screen): string {
  const titles: Column[] = columns.map(({ name, type }) => ({
    title: printable(name),
    align: NUMERIC.test(type) ? 'right' : 'left',
  }));
  const shown = rows.slice(0, MOST_ROWS).map((row) => row.map(cell));
  const rest =
    n_rows > MOST_ROWS
      ? `${formatCount(MOST_ROWS)} of ${formatCount(n_rows)} rows; --csv and --json have all`
      : null;
  return sections(
    [
      [null, n_rows === 0 ? 'no rows' : table(titles, shown, screen)],
      [null, rest],
    ],
    screen,
  );
}

function cell(value: JsonValue): string {
  if (value === null) return NO_NUMBER;
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : formatDecimal(value);
  return printable(text(value));
}

/** Without the last line's end, which every view gets. */
export function queryCsv({ columns, rows }: QueryResult): string {
  const fields = (value: JsonValue): string | number | null =>
    value === null || typeof value === 'number' ? value : text(value);
  return csv([columns.map(({ name }) => name), ...rows.map((row) => row.map(fields))]).replace(/\r\n$/, '');
}

function text(value: JsonValue): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
