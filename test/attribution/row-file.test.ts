import { afterAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { spawnSync } from 'node:child_process';
import { appendFile, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { existsSync, readdirSync } from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import { RowFile } from '../../src/attribution/row-file.ts';
import { RowColumns } from '../../src/graph/row-columns.ts';
import { scratchFolder } from '../support/scratch.ts';

const folder = scratchFolder();
afterAll(() => folder[Symbol.dispose]());
let n = 0;
const newPath = (): string => path.join(folder.path, `rows-${n++}`);

const FINGERPRINT = { model: 'a', tokens: '2,3' };
/** One layer and one position: a column for this feature, one for its error and one for the token. */
const columnsFor = (feature: number) => new RowColumns(Int32Array.of(feature), Int32Array.of(0), 1, 1);
const COLUMNS = columnsFor(0);

function batch(...features: number[]) {
  const rows = Float32Array.from(features.flatMap((feature) => [feature, -feature, feature / 3]));
  return { features: Int32Array.from(features), columns: COLUMNS, rows };
}

async function written(...batches: ReturnType<typeof batch>[]): Promise<string> {
  const file = newPath();
  const rows = await RowFile.open(file, FINGERPRINT);
  for (const one of batches) await rows.keep(one);
  await rows.close();
  return file;
}

const reopen = (file: string) => RowFile.open(file, FINGERPRINT);

describe('rows on disk', () => {
  it('are read back bit by bit, in any order, also before the file is closed', async () => {
    const file = newPath();
    const rows = await reopen(file);
    await rows.keep(batch(7, 2));
    await rows.keep(batch(9));
    expect(await rows.take(Int32Array.of(2, 9, 7), COLUMNS)).toEqual(batch(2, 9, 7).rows);
    await rows.close();
    const again = await reopen(file);
    expect(again.n_rows).toBe(3);
    expect(await again.take(Int32Array.of(9, 7), COLUMNS)).toEqual(batch(9, 7).rows);
    expect(await again.take(Int32Array.of(9, 8), COLUMNS)).toBeUndefined();
    await again.close();
  });

  it('are given out only with the columns that they have', async () => {
    const file = newPath();
    const rows = await reopen(file);
    const others = { ...batch(2), columns: columnsFor(1) };
    others.rows.fill(7);
    await rows.keep(batch(2, 3));
    await rows.keep(others);
    await rows.close();
    const again = await reopen(file);
    expect(again.n_rows).toBe(3);
    expect(await again.take(Int32Array.of(2), COLUMNS)).toEqual(batch(2).rows);
    expect(await again.take(Int32Array.of(2), columnsFor(1))).toEqual(others.rows);
    expect(await again.take(Int32Array.of(3), columnsFor(1))).toBeUndefined();
    expect(await again.take(Int32Array.of(2), columnsFor(2))).toBeUndefined();
    expect(again.n_taken).toBe(2);
    await again.close();
  });

  it('end at a record that was cut short, wherever the cut is, and go on from there', async () => {
    const whole = await readFile(await written(batch(1, 2), batch(3)));
    const first = (await stat(await written(batch(1, 2)))).size;
    const start = (await readFile(await written(batch(1, 2)))).indexOf('\n') + 1;
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: whole.byteLength }), async (length) => {
        const file = newPath();
        await writeFile(file, whole.subarray(0, length));
        const rows = await reopen(file);
        expect(rows.n_rows).toBe(length === whole.byteLength ? 3 : length >= first ? 2 : 0);
        await rows.keep(batch(4));
        await rows.close();
        const again = await reopen(file);
        expect(await again.take(Int32Array.of(4), COLUMNS)).toEqual(batch(4).rows);
        if (length >= first) expect(await again.take(Int32Array.of(2, 1), COLUMNS)).toEqual(batch(2, 1).rows);
        await again.close();
      }),
      { examples: [[0], [start - 1], [start], [first], [first + 1]] },
    );
  });

  it('end at a record whose bytes changed', async () => {
    const file = await written(batch(1), batch(2));
    const bytes = await readFile(file);
    bytes[bytes.byteLength - 1]! ^= 1;
    await writeFile(file, bytes);
    const rows = await reopen(file);
    expect(await rows.take(Int32Array.of(1), COLUMNS)).toEqual(batch(1).rows);
    expect(rows.n_rows).toBe(1);
    await rows.close();
  });

  it('of something else are refused, naming what differs', async () => {
    const file = await written(batch(1));
    const before = await readFile(file);
    await expect(RowFile.open(file, { ...FINGERPRINT, tokens: '2,4' })).rejects.toMatchObject({
      exitCode: 4,
      code: 'other_rows',
      message: expect.stringContaining('tokens is "2,3", expected "2,4"') as unknown,
    });
    expect(await readFile(file)).toEqual(before);
  });

  it.each(['a letter\n', '{"format":"something else"}\n', 'x', '[]\n', 'null\n'])(
    'are not taken from a file that holds %j, which is left alone',
    async (content) => {
      const file = newPath();
      await writeFile(file, content);
      await expect(reopen(file)).rejects.toMatchObject({ exitCode: 4, code: 'not_rows' });
      expect(await readFile(file, 'utf8')).toBe(content);
    },
  );

  it('leave no file when there are none, and none when the graph is complete', async () => {
    expect(existsSync(await written())).toBe(false);
    const file = await written(batch(1));
    await (await reopen(file)).remove();
    expect(existsSync(file)).toBe(false);
  });

  it('are written by one attribution at a time: a second one is told', async () => {
    const file = newPath();
    const rows = await reopen(file);
    await rows.keep(batch(1));
    const inUse = { exitCode: 2, code: 'rows_in_use', message: expect.stringContaining(file) as unknown };
    await expect(reopen(file)).rejects.toMatchObject(inUse);
    await rows.keep(batch(2));
    await expect(reopen(file)).rejects.toMatchObject(inUse);
    expect(await rows.take(Int32Array.of(2, 1), COLUMNS)).toEqual(batch(2, 1).rows);
    await rows.close();
    await rows.close(); // once is enough
    {
      await using again = await reopen(file);
      expect(again.n_rows).toBe(2);
      await expect(reopen(file)).rejects.toMatchObject(inUse);
    }
    const last = await reopen(file);
    await last.remove();
    await (await reopen(file)).close();
    expect(readdirSync(folder.path).filter((name) => name.endsWith('.lock'))).toEqual([]);
  });

  it('are free again when what was opened was refused, and when the holder was killed', async () => {
    const file = await written(batch(1));
    await expect(RowFile.open(file, { ...FINGERPRINT, tokens: '9' })).rejects.toThrow();
    const { pid } = spawnSync(process.execPath, ['-e', '']); // a process that is gone
    await writeFile(`${file}.lock`, `${pid}\n${hostname()}\n`);
    await using rows = await reopen(file);
    expect(rows.n_rows).toBe(1);
  });

  it('that are no longer there are an error and no zeros', async () => {
    const file = newPath();
    await using rows = await reopen(file);
    await rows.keep(batch(1, 2));
    await truncate(file, (await stat(file)).size - 1);
    expect(await rows.take(Int32Array.of(1), COLUMNS)).toEqual(batch(1).rows);
    await expect(rows.take(Int32Array.of(2), COLUMNS)).rejects.toMatchObject({
      exitCode: 4,
      code: 'rows_cut',
      message: expect.stringContaining(file) as unknown,
    });
  });

  it('survive bytes that another writer put behind them', async () => {
    const file = await written(batch(1));
    const { size } = await stat(file);
    await appendFile(file, Buffer.alloc(100, 0xff));
    const rows = await reopen(file);
    expect(rows.n_rows).toBe(1);
    expect((await stat(file)).size).toBe(size);
    await rows.close();
    await truncate(file, size);
  });
});
