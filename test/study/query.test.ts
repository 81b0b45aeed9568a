import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { collect } from '../../src/engine/study/collect.ts';
import { query } from '../../src/engine/study/query.ts';
import { TracerError } from '../../src/errors.ts';
import { madeFolder, randomPrompts } from './made-graphs.ts';

const folder = mkdtempSync(path.join(tmpdir(), "tracer-query-it's-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const study = path.join(folder, 'study');
const secret = path.join(folder, 'secret.csv');

beforeAll(async () => {
  await madeFolder(path.join(folder, 'graphs'), randomPrompts(4, 1));
  await collect({ folders: [path.join(folder, 'graphs')], output: study });
  writeFileSync(secret, 'a,b\n1,2\n');
});

async function failure(sql: string, of: string = study): Promise<TracerError> {
  try {
    await query({ study: of, sql });
  } catch (error) {
    if (error instanceof TracerError) return error;
    throw error;
  }
  throw new Error(`no error: ${sql}`);
}

describe('query', () => {
  it('gives columns with their types, and values that JSON can hold', async () => {
    const sql = `SELECT count(*) AS n, 'x' AS n, 2::HUGEINT ** 70 AS large, 9007199254740993 AS odd, NULL AS none, 'nan'::DOUBLE AS nan,
      DATE '2026-01-02' AS day, [1, NULL] AS list, {'a': 1::BIGINT} AS struct, 'é"' AS text FROM graphs`;
    const { columns, rows } = await query({ study, sql });
    expect(columns.slice(0, 2)).toEqual([
      { name: 'n', type: 'BIGINT' },
      { name: 'n', type: 'VARCHAR' },
    ]);
    expect(rows).toEqual([
      [
        ...[4, 'x', 2 ** 70, '9007199254740993', null, 'NaN', '2026-01-02T00:00:00.000Z'],
        ...[[1, null], { a: 1 }, 'é"'],
      ],
    ]);
  });

  it('refuses whatever is not one SELECT, and SQL that DuckDB does not understand, as usage', async () => {
    const statements = [
      '',
      'SELECT 1; SELECT 2',
      'CREATE TABLE t (a INT)',
      'DROP VIEW graphs',
      'SET threads = 3',
    ];
    for (const sql of statements) {
      const { exitCode, code } = await failure(sql);
      expect({ sql, exitCode, code }).toEqual({ sql, exitCode: 2, code: 'not_a_query' });
    }
    const { message } = await failure('SELECT influense FROM nodes');
    expect(message).toMatch(/influense[^]*"influence"/);
    for (const sql of ['SELEC 1', 'SELECT * FROM nothing']) {
      expect([(await failure(sql)).exitCode, (await failure(sql)).code]).toEqual([2, 'bad_sql']);
    }
  });

  it('reads no other file and writes none, not even those of the study', async () => {
    const graphs = path.join(study, 'graphs.parquet').replaceAll("'", "''");
    const other = secret.replaceAll("'", "''");
    const before = readFileSync(path.join(study, 'graphs.parquet'));
    for (const sql of [
      `SELECT * FROM read_csv('${other}')`,
      `SELECT * FROM '${other}'`,
      `SELECT * FROM read_text('${other}')`,
      `SELECT * FROM glob('/*')`,
      `SELECT * FROM read_parquet('http://127.0.0.1:9/x.parquet')`,
      `SELECT * FROM sqlite_scan('${other}', 't')`,
      `COPY (SELECT 1) TO '${other}'`,
      `COPY (SELECT 1) TO '${graphs}' (USE_TMP_FILE false)`,
      `ATTACH '${other}'`,
      `INSTALL httpfs`,
      `LOAD httpfs`,
      `EXPLAIN ANALYZE COPY (SELECT 1) TO '${graphs}' (USE_TMP_FILE false)`,
    ]) {
      expect({ sql, exitCode: (await failure(sql)).exitCode }).toEqual({ sql, exitCode: 2 });
    }
    expect(readFileSync(path.join(study, 'graphs.parquet'))).toEqual(before);
    expect(readFileSync(secret, 'utf8')).toBe('a,b\n1,2\n');
  });

  it('has no place for temporary files: memory that runs out is an error, and no .tmp in the current folder', async () => {
    const { rows } = await query({ study, sql: "SELECT current_setting('temp_directory')" });
    expect(rows).toEqual([['']]);
  });

  it('stops when it is told to', async () => {
    const abort = new AbortController();
    setTimeout(() => abort.abort(new Error('stopped')), 100);
    const sql = 'SELECT count(*) FROM nodes a, nodes b, nodes c, nodes d, nodes e';
    await expect(query({ study, sql, signal: abort.signal })).rejects.toThrow('stopped');
  });

  it('names a folder that is no study, and a table that is damaged', async () => {
    const none = await failure('SELECT 1', folder);
    expect([none.exitCode, none.code]).toEqual([3, 'no_study']);
    const file = await failure('SELECT 1', secret);
    expect([file.exitCode, file.code]).toEqual([3, 'no_study']);
    expect(file.message).toContain('it is no folder');
    truncateSync(path.join(study, 'edges.parquet'), 200);
    const damaged = await failure('SELECT * FROM edges');
    expect([damaged.exitCode, damaged.code]).toEqual([4, 'bad_parquet']);
    expect(damaged.message).toContain('edges.parquet');
  });
});
