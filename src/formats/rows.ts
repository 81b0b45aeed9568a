/** Files: rows of a table with named columns, from JSON Lines, CSV, TSV or Parquet, by the ending of the file's name. */
import { BadFileError, TracerError } from '../errors.ts';
import { openFileSource } from './byte-source.ts';
import { anyJsonObject } from './json-object.ts';
import { parseJson } from './json.ts';
import { PARQUET_SUFFIX, readParquetRows } from './parquet.ts';
import { readText } from './parsed-text.ts';
import { savedInstead } from './saved-instead.ts';
import { messageOf } from './system-errors.ts';

export type Row = Readonly<Record<string, unknown>>;

/** A row, or why it cannot be read; the line that it ends in, in Parquet its number, from 1. */
export type NumberedRow = { readonly line: number } & (
  { readonly row: Row } | { readonly error: TracerError }
);

const RowSchema = anyJsonObject<Row>();

/** What separates columns, by the ending. */
const DELIMITERS: Readonly<Record<string, string>> = { '.csv': ',', '.tsv': '\t' };

/**
 * Empty lines are left out. A line that cannot be read is part of the result, so that the others can be used.
 * Throws `NotFoundError` or `BadFileError` for the file.
 */
export async function readRows(file: string, largestBytes: number): Promise<NumberedRow[]> {
  const ending = /\.[^./\\]*$/.exec(file.toLowerCase())?.[0] ?? '';
  if (ending === PARQUET_SUFFIX) return await rowsOfParquet(file, largestBytes);
  const text = await readText(file, largestBytes);
  const delimiter = DELIMITERS[ending];
  return delimiter === undefined ? rowsOfJsonLines(file, text) : await rowsOfCsv(file, text, delimiter);
}

function rowsOfJsonLines(file: string, text: string): NumberedRow[] {
  const rows: NumberedRow[] = [];
  for (const [i, content] of text.split('\n').entries()) {
    if (content.trim() === '') continue;
    const line = i + 1;
    try {
      rows.push({ line, row: parseJson(`${file}, line ${line}`, content, RowSchema, line) });
    } catch (error) {
      if (!(error instanceof TracerError)) throw error;
      rows.push({ line, error });
    }
  }
  // A page or a pointer would have an error for each of its lines.
  const instead = rows.every((row) => 'error' in row) && savedInstead(file, text, 'one JSON object a line');
  if (instead) throw instead;
  return rows;
}

/** What csv-parse gives with `info`. */
interface CsvRecord {
  readonly record: readonly string[];
  readonly info: { readonly lines: number };
}

/** The first line names the columns; values stay texts. */
async function rowsOfCsv(file: string, text: string, delimiter: string): Promise<NumberedRow[]> {
  const instead = savedInstead(file, text, 'a table with its columns in the first line');
  if (instead) throw instead;
  const { parse } = await import('csv-parse/sync');
  let records: CsvRecord[];
  try {
    // All of them: the last line may have another end than the others.
    const ends = { record_delimiter: ['\r\n', '\n', '\r'] };
    const options = { bom: true, delimiter, info: true, relax_column_count: true, ...ends } as const;
    records = parse(text, { ...options, skip_empty_lines: true }) as unknown as CsvRecord[];
  } catch (cause) {
    throw new BadFileError({
      code: 'bad_csv',
      message: `${file} cannot be read as a table: ${messageOf(cause)}`,
      hint: 'Values with separators, quotes or line breaks stand in double quotes; a double quote in them is written twice.',
      cause,
    });
  }
  const [first, ...rest] = records;
  const columns = distinctColumns(file, first?.record ?? []);
  return rest.map(({ record, info: { lines: line } }) =>
    record.length === columns.length
      ? { line, row: namedValues(columns, record) }
      : { line, error: unevenRow(file, line, record.length, columns.length) },
  );
}

/** Of two columns with one name only the second would be read. Columns without a name come from separators at the end of lines. */
function distinctColumns(file: string, names: readonly string[]): readonly string[] {
  const twice = names.find((name, i) => name !== '' && names.indexOf(name) < i);
  if (twice === undefined) return names;
  throw new BadFileError({
    code: 'bad_csv',
    message: `${file}: the first line names the column ${JSON.stringify(twice)} twice`,
    hint: 'Give every column a name of its own.',
  });
}

function unevenRow(file: string, line: number, found: number, expected: number): BadFileError {
  return new BadFileError({
    code: 'bad_csv',
    message: `${file}, line ${line}: has ${found} values, the first line names ${expected} columns`,
    hint: 'Put values with separators in double quotes.',
  });
}

async function rowsOfParquet(file: string, largestBytes: number): Promise<NumberedRow[]> {
  using source = await openFileSource(file);
  if (source.size > largestBytes) {
    throw new BadFileError({
      code: 'file_too_large',
      message: `${file} has ${source.size} bytes; at most ${largestBytes} are expected in such a file`,
      hint: 'Check that the right file is named.',
    });
  }
  const { columns, rows } = await readParquetRows(source);
  return rows.map((row, i) => ({ line: i + 1, row: namedValues(columns, row.map(plainValue)) }));
}

/** Also under `__proto__`, which an assignment would take for something else. */
function namedValues(columns: readonly string[], values: readonly unknown[]): Row {
  return Object.fromEntries(columns.map((name, i) => [name, values[i]]));
}

/** Numbers of 64 bits and times as JSON can hold them. */
function plainValue(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  return value instanceof Date ? value.toISOString() : value;
}
