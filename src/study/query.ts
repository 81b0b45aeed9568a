/** Study, queries: SQL of a user, which only reads, and its result as values that JSON can hold. */
import { BadFileError, UsageError } from '../errors.ts';
import { messageOf } from '../formats/system-errors.ts';
import type { JsonValue } from '../graph/graph.ts';
import { exhaustion, loadDuckDB, type Database } from './duckdb.ts';

export interface QueryTable {
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly rows: readonly (readonly JsonValue[])[];
}

/**
 * The result of one SELECT (WITH, FROM …, DESCRIBE and SUMMARIZE are such). Throws `UsageError` for anything else and for SQL that
 * DuckDB refuses, `BadFileError` for tables that cannot be read.
 */
export async function queryTable(database: Database, sql: string, signal?: AbortSignal): Promise<QueryTable> {
  if (sql.trim() === '') throw notOneQuery('is empty');
  const { StatementType } = await loadDuckDB();
  const { connection } = database;
  signal?.throwIfAborted();
  const interrupt = (): void => connection.interrupt();
  signal?.addEventListener('abort', interrupt);
  try {
    const statements = await connection.extractStatements(sql);
    if (statements.count !== 1) throw notOneQuery(`has ${statements.count} statements`);
    const prepared = await statements.prepare(0);
    if (prepared.statementType !== StatementType.SELECT) {
      throw notOneQuery(`is a statement of type ${StatementType[prepared.statementType] ?? 'unknown'}`);
    }
    const result = await prepared.runAndReadAll();
    // An interruption that comes before the query has begun is lost.
    signal?.throwIfAborted();
    const types = result.columnTypes();
    return {
      columns: result.columnNames().map((name, i) => ({ name, type: String(types[i]) })),
      rows: result.getRowsJS().map((row) => row.map(plainValue)),
    };
  } catch (cause) {
    signal?.throwIfAborted();
    throw queryError(cause);
  } finally {
    signal?.removeEventListener('abort', interrupt);
  }
}

function notOneQuery(found: string): UsageError {
  return new UsageError({
    code: 'not_a_query',
    message: `the SQL ${found}; a study is only read`,
    hint: 'Give one SELECT, such as "SELECT slug, replacement FROM graphs ORDER BY replacement".',
  });
}

function queryError(cause: unknown): unknown {
  if (cause instanceof UsageError) return cause;
  const exhausted = exhaustion(cause);
  if (exhausted) return exhausted;
  const message = messageOf(cause).trim();
  if (/^(IO|Invalid Input|TProtocol|Serialization) ?(Error|Exception)?.*parquet/i.test(message)) {
    return new BadFileError({
      code: 'bad_parquet',
      message: `the study's tables cannot be read: ${message}`,
      hint: 'Collect the graphs again.',
      cause,
    });
  }
  return new UsageError({
    code: 'bad_sql',
    message: message.replace(/^Failed to extract statements: /, ''),
    hint: 'Tables are graphs, nodes, edges and features; "DESCRIBE graphs" lists the columns of one.',
    cause,
  });
}

/** Whole numbers beyond 2^53 as text, times as ISO 8601, bytes in hexadecimal. */
function plainValue(value: unknown): JsonValue {
  switch (typeof value) {
    case 'bigint':
      return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
    case 'number':
      return Number.isFinite(value) ? value : String(value);
    case 'string':
    case 'boolean':
      return value;
    case 'object':
      return value === null ? null : plainObject(value);
    default:
      return null;
  }
}

function plainObject(value: object): JsonValue {
  if (Array.isArray(value)) return value.map(plainValue);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (Object.prototype.toString.call(value) === '[object Date]') return (value as Date).toISOString();
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plainValue(item)]));
}
