/** Study, results: a table of what was measured on prompts, as Parquet, which `graph query` joins to a study, or as JSON Lines. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { UsageError } from '../errors.ts';
import { checkWritable, writeFileAtomic } from '../formats/atomic.ts';
import { Database } from './duckdb.ts';
import { literal, TABLE_NAMES, TABLE_SUFFIX, type Columns } from './tables.ts';
import { TableWriter, type Cell } from './write.ts';

const LINES_SUFFIX = '.jsonl';
const TABLE = 'results';

/** A value for each column. */
export type ResultRow = Readonly<Record<string, Cell>>;

/** Refuses, before anything is computed, a file that cannot be written, one of another kind, and the tables of a study. */
export async function checkResultFile(file: string): Promise<void> {
  const name = path.basename(file).toLowerCase();
  if (!name.endsWith(TABLE_SUFFIX) && !name.endsWith(LINES_SUFFIX)) {
    throw new UsageError({
      code: 'table_ending',
      message: `--output: ${file} has neither the ending ${TABLE_SUFFIX} nor ${LINES_SUFFIX}, which say how the table is written`,
      hint: `Call it FILE${TABLE_SUFFIX}, in the folder of a study to join it there, or FILE${LINES_SUFFIX}.`,
    });
  }
  const own = TABLE_NAMES.find((table) => name === table + TABLE_SUFFIX);
  if (own !== undefined) {
    throw new UsageError({
      code: 'table_name',
      message: `--output: ${file} is called like the table ${own} of a study`,
      hint: 'Give it a name of its own.',
    });
  }
  await checkWritable(file);
}

/** `file` as `checkResultFile` lets it pass. The file appears complete or not at all. */
export async function writeResultTable(
  file: string,
  columns: Columns,
  rows: readonly ResultRow[],
  signal?: AbortSignal,
): Promise<void> {
  if (file.toLowerCase().endsWith(LINES_SUFFIX)) {
    const lines = rows.map((row) => `${JSON.stringify(row, plainNumbers)}\n`);
    return await writeFileAtomic(file, lines.join(''), { signal });
  }
  const scratch = await mkdtemp(path.join(tmpdir(), 'tracer-table-'));
  try {
    const draft = path.join(scratch, TABLE + TABLE_SUFFIX);
    await writeParquet(draft, columns, rows);
    await writeFileAtomic(file, await readFile(draft), { signal });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** One thread, so that the same rows are the same bytes. */
async function writeParquet(draft: string, columns: Columns, rows: readonly ResultRow[]): Promise<void> {
  using database = await Database.open(':memory:', { threads: '1', temp_directory: '' });
  const table = await TableWriter.create(database, TABLE, columns);
  const names = Object.keys(columns);
  for (const row of rows) table.add(names.map((name) => row[name]!));
  table.close();
  await database.run(`COPY ${TABLE} TO ${literal(draft)} (FORMAT parquet, COMPRESSION zstd)`);
}

function plainNumbers(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? Number(value) : value;
}
