import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { circuit } from '../../src/engine/study/circuit.ts';
import { collect } from '../../src/engine/study/collect.ts';
import { query } from '../../src/engine/study/query.ts';
import { checkResultFile, writeResultTable } from '../../src/study/result-table.ts';
import { failure, madeFolder, randomPrompts } from './made-graphs.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'tracer-results-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const study = path.join(folder, 'study');
const graphs = path.join(folder, 'graphs');

const COLUMNS = { slug: 'VARCHAR', score: 'DOUBLE', n: 'BIGINT', note: 'VARCHAR' } as const;
const ROWS = [
  { slug: 'prompt-1', score: 0.5, n: 2n, note: 'a "quoted" one' },
  { slug: 'prompt-0', score: -1.5, n: 3n, note: null },
];

beforeAll(async () => {
  await madeFolder(graphs, randomPrompts(4, 1));
  await collect({ folders: [graphs], output: study });
});

describe('a table of results', () => {
  it('in the folder of a study is joined by its name', async () => {
    const file = path.join(study, 'my results.parquet');
    await writeResultTable(file, COLUMNS, ROWS);
    const sql = 'SELECT graph, score, n, note FROM graphs JOIN "my results" USING (slug) ORDER BY graph';
    expect((await query({ study, sql })).rows).toEqual([
      [0, -1.5, 3, null],
      [1, 0.5, 2, 'a "quoted" one'],
    ]);
    const first = readFileSync(file);
    await writeResultTable(file, COLUMNS, ROWS);
    expect(readFileSync(file).equals(first)).toBe(true);
    rmSync(file);
  });

  it('is the same as JSON Lines', async () => {
    const file = path.join(folder, 'results.jsonl');
    await writeResultTable(file, COLUMNS, ROWS);
    const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      { slug: 'prompt-1', score: 0.5, n: 2, note: 'a "quoted" one' },
      { slug: 'prompt-0', score: -1.5, n: 3, note: null },
    ]);
  });

  it('is refused as another kind of file, and in place of a table of the study', async () => {
    expect(await failure(checkResultFile(path.join(folder, 'results.txt')))).toEqual([2, 'table_ending']);
    expect(await failure(checkResultFile(path.join(study, 'Graphs.parquet')))).toEqual([2, 'table_name']);
  });

  it('is not lost when the graphs are collected again', async () => {
    const file = path.join(study, 'kept.parquet');
    await writeResultTable(file, COLUMNS, ROWS);
    await expect(collect({ folders: [graphs], output: study })).rejects.toMatchObject({
      code: 'output_in_use',
      message: expect.stringContaining('kept.parquet') as unknown,
    });
    expect(existsSync(file)).toBe(true);
    rmSync(file);
    await collect({ folders: [graphs], output: study });
  });

  it('that is damaged is named, and stops nothing but queries', async () => {
    const file = path.join(study, 'bad.parquet');
    writeFileSync(file, 'PAR1 no parquet');
    await expect(query({ study, sql: 'SELECT 1' })).rejects.toMatchObject({
      code: 'bad_parquet',
      message: expect.stringContaining('bad.parquet') as unknown,
      hint: expect.stringContaining('take it out of the folder') as unknown,
    });
    expect((await circuit({ study, share: 0.3 })).n_graphs).toBe(4);
    rmSync(file);
  });
});
