/** Study, reading: the four tables as views of a database that reads nothing else and cannot be changed. */
import path from 'node:path';
import { BadFileError } from '../errors.ts';
import { messageOf } from '../formats/system-errors.ts';
import { addedTables, readDescription, tableFile, type StudyDescription } from './description.ts';
import { Database, exhaustion, firstLine } from './duckdb.ts';
import { literal, quoted, TABLE_NAMES } from './tables.ts';

/** An opened study. Dispose it with `using`. */
export interface Study extends Disposable {
  readonly folder: string;
  readonly description: StudyDescription;
  readonly database: Database;
}

export interface OpenStudyOptions {
  readonly threads?: number;
  /** Also the tables that were put beside those of the study. */
  readonly withAdded?: boolean;
}

/**
 * Opens a study. One thread unless told: sums then have the same last digits in every run.
 * Throws `NotFoundError` for a folder that is no study and `BadFileError` for one whose files are damaged.
 */
export async function openStudy(folder: string, options: OpenStudyOptions = {}): Promise<Study> {
  const description = await readDescription(folder);
  const added = options.withAdded ? await addedTables(folder) : [];
  // Without the setting DuckDB puts what does not fit into memory into `.tmp` of the folder that one happens to be in.
  const settings = { threads: String(options.threads ?? 1), temp_directory: '' };
  const database = await Database.open(':memory:', settings);
  try {
    const tables = [...TABLE_NAMES, ...added];
    const files = tables.map((table) => path.resolve(tableFile(folder, table)));
    for (const [i, table] of tables.entries()) {
      await openTable(database, table, files[i]!, i < TABLE_NAMES.length ? COLLECT_AGAIN : WRITE_AGAIN);
    }
    // What a query names is not trusted: no other file, no network, no extension, and none of this can be undone.
    await database.run(
      `SET allowed_paths = [${files.map(literal).join(', ')}];
       SET enable_external_access = false;
       SET lock_configuration = true`,
    );
  } catch (error) {
    database[Symbol.dispose]();
    throw error;
  }
  return { folder, description, database, [Symbol.dispose]: () => database[Symbol.dispose]() };
}

const COLLECT_AGAIN = 'Collect the graphs again.';
const WRITE_AGAIN = 'Write it again, or take it out of the folder.';

async function openTable(database: Database, table: string, file: string, hint: string): Promise<void> {
  try {
    await database.connection.run(
      `CREATE VIEW ${quoted(table)} AS SELECT * FROM read_parquet(${literal(file)})`,
    );
  } catch (cause) {
    throw (
      exhaustion(cause) ??
      new BadFileError({
        code: 'bad_parquet',
        message: `${file} cannot be read as Parquet: ${firstLine(messageOf(cause))}`,
        hint,
        cause,
      })
    );
  }
}
