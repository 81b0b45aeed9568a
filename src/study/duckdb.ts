/** Study, DuckDB: the only file that loads it. It is an optional dependency, whose errors become those of tracer here. */
import type { DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { BadFileError, ExhaustedError, NotFoundError, type TracerError } from '../errors.ts';
import { messageOf } from '../formats/system-errors.ts';

export type { DuckDBAppender, DuckDBConnection, DuckDBType, DuckDBValue } from '@duckdb/node-api';

/** What the package exports. */
export type DuckDB = Awaited<typeof import('@duckdb/node-api')>['default'];

const PACKAGE = '@duckdb/node-api';

/** Throws `NotFoundError` where the package, or its library for this system, is not installed. */
export async function loadDuckDB(): Promise<DuckDB> {
  try {
    return (await import('@duckdb/node-api')).default;
  } catch (cause) {
    throw new NotFoundError({
      code: 'duckdb_missing',
      message: `studies need DuckDB, but the package ${PACKAGE} cannot be loaded: ${messageOf(cause)}`,
      hint: `Install it with \`npm install ${PACKAGE}\`, beside tracer; it has libraries for Linux, macOS and Windows on x64 and arm64.`,
      cause,
    });
  }
}

/** A database with one connection. Dispose it with `using`. */
export class Database implements Disposable {
  readonly connection: DuckDBConnection;
  readonly #instance: DuckDBInstance;

  private constructor(instance: DuckDBInstance, connection: DuckDBConnection) {
    this.#instance = instance;
    this.connection = connection;
  }

  /** `file` may be `:memory:`. Options are DuckDB's settings. */
  static async open(file: string, options: Readonly<Record<string, string>>): Promise<Database> {
    const { DuckDBInstance } = await loadDuckDB();
    try {
      const instance = await DuckDBInstance.create(file, { ...options });
      return new Database(instance, await instance.connect());
    } catch (cause) {
      throw exhaustion(cause) ?? cause;
    }
  }

  /** Runs statements of our own. */
  async run(sql: string): Promise<void> {
    try {
      await this.connection.run(sql);
    } catch (cause) {
      throw exhaustion(cause) ?? cause;
    }
  }

  /** Rows of a query of our own. Throws `BadFileError` where a table cannot be read, or is not as it should be. */
  async rows(sql: string): Promise<unknown[][]> {
    try {
      return (await this.connection.runAndReadAll(sql)).getRowsJS();
    } catch (cause) {
      throw (
        exhaustion(cause) ??
        new BadFileError({
          code: 'bad_study',
          message: `the tables of the study cannot be read: ${messageOf(cause)}`,
          hint: 'Collect the graphs again.',
          cause,
        })
      );
    }
  }

  [Symbol.dispose](): void {
    this.connection.closeSync();
    this.#instance.closeSync();
  }
}

/** DuckDB's error as ours, where memory or disk ran out. */
export function exhaustion(cause: unknown): TracerError | undefined {
  const message = messageOf(cause);
  if (/No space left on device|Disk quota exceeded|File too large/i.test(message)) {
    return new ExhaustedError({
      code: 'disk_full',
      message: `the tables cannot be written: ${firstLine(message)}`,
      hint: 'Free disk space, or write to another disk.',
      cause,
    });
  }
  if (!/^Out of Memory Error/i.test(message)) return undefined;
  return new ExhaustedError({
    code: 'out_of_memory',
    message: `DuckDB ran out of memory: ${firstLine(message)}`,
    hint: 'Ask for fewer rows or columns at once.',
    cause,
  });
}

export function firstLine(text: string): string {
  return text.split('\n')[0]!;
}
