import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { madeFolder, randomPrompts } from '../study/made-graphs.ts';
import { tracer } from './shared.ts';
import { envelope } from './start.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'tracer-cli-study-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeAll(async () => {
  await madeFolder(path.join(folder, 'graphs'), randomPrompts(40, 1));
});

const graph = (...args: string[]) => tracer(['graph', ...args], { cwd: folder });

describe('tracer graph collect and query', () => {
  it('write a study and answer questions about it, as a table, as JSON and as CSV', async () => {
    const collected = envelope(await graph('collect', 'graphs', '--output', 'study', '--json'));
    expect(collected).toMatchObject({ command: 'graph collect', data: { n_graphs: 40, skipped: [] } });

    const sql = 'SELECT meta_group, count(*) AS n, 0.5 AS half FROM graphs GROUP BY ALL ORDER BY ALL';
    const shown = await graph('query', 'study', sql);
    expect(shown.stdout).toMatch(/^meta_group +n +half\neven +20 +0\.5\nodd +20 +0\.5\n$/);
    expect(envelope(await graph('query', 'study', sql, '--json')).data).toMatchObject({
      n_rows: 2,
      rows: [
        ['even', 20, 0.5],
        ['odd', 20, 0.5],
      ],
    });
    expect((await graph('query', 'study', sql, '--csv')).stdout).toBe(
      'meta_group,n,half\r\neven,20,0.5\r\nodd,20,0.5\n',
    );
  });

  it('answer questions about it, each as a table and as JSON, with a picture', async () => {
    const questions = [
      ['common', '--by', 'group', '--k', '2'],
      ['contrast', 'even', 'odd', '--permutations', '50'],
      ['contrast', '--where-a', 'line < 10', '--where-b', 'line >= 10', '--permutations', '50'],
      ['cluster', '--clusters', '3', '--by', 'group'],
      ['circuit', '--group', 'even', '--share', '0.3', '--holdout', '0.5', '--output', 'even.safetensors'],
    ];
    for (const [name, ...args] of questions) {
      const svg = path.join(folder, `${name}.svg`);
      rmSync(svg, { force: true });
      const shown = await graph(name!, 'study', ...args);
      expect({ name, exitCode: shown.exitCode, stderr: shown.stderr }).toEqual({
        name,
        exitCode: 0,
        stderr: '',
      });
      expect(shown.stdout).toMatch(/feature/);
      const answer = envelope(await graph(name!, 'study', ...args, '--svg', svg, '--json'));
      expect(answer).toMatchObject({ command: `graph ${name}`, data: { study: 'study' } });
      expect(readFileSync(svg, 'utf8')).toMatch(/^<\?xml[^]*<\/svg>\n$/);
    }
    expect((await graph('top', 'even.safetensors', '--k', '1')).exitCode).toBe(0);
  });

  it('have the exit codes of the contract', async () => {
    const codes = [
      [['query', 'study', 'SELECT nothing'], 2],
      [['query', 'study', 'SELECT 1', '--csv', '--json'], 2],
      [['query', 'elsewhere', 'SELECT 1'], 3],
      [['collect', 'elsewhere', '--output', 'x'], 3],
      [['collect', 'graphs'], 2],
      [['contrast', 'study', 'even'], 2],
      [['contrast', 'study', 'even', 'evn'], 2],
      [['common', 'study', '--where', 'nothing'], 2],
      [['circuit', 'study', '--share', '2'], 2],
      [['cluster', 'elsewhere'], 3],
    ] as const;
    for (const [args, exitCode] of codes) {
      expect({ args, exitCode: (await graph(...args)).exitCode }).toEqual({ args, exitCode });
    }
  });
});
