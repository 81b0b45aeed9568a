/** A server where DuckDB is not installed: studies are listed, and what needs it says so. */
import { expect, it, jest } from '@jest/globals';
import path from 'node:path';
import type { StudyList } from '../../src/viewer/api.ts';

it('lists studies, and says what to install when one is opened', async () => {
  const { collect } = await import('../../src/engine/study/collect.ts');
  const { madeFolder, randomPrompts } = await import('../study/made-graphs.ts');
  const { scratchFolder } = await import('../support/scratch.ts');
  using scratch = scratchFolder();
  const graphs = await madeFolder(path.join(scratch.path, 'graphs'), randomPrompts(4, 1));
  const study = path.join(scratch.path, 'study');
  await collect({ folders: [graphs], output: study });
  jest.resetModules();
  jest.unstable_mockModule('@duckdb/node-api', () => {
    throw new Error("Cannot find package '@duckdb/node-api'");
  });
  const { answer, openedViewer } = await import('./opened.ts');
  await using viewer = await openedViewer(() => undefined, { paths: [study] });
  const { studies } = answer<StudyList>(await viewer.ask('/api/studies'));
  expect(studies).toEqual([{ name: 'study', n_graphs: 4, scan: 'owner/set', problem: null }]);
  const { status, text } = await viewer.ask('/api/studies/study');
  const { error } = JSON.parse(text) as { error: { code: string; hint: string } };
  expect([status, error.code]).toEqual([404, 'duckdb_missing']);
  expect(error.hint).toContain('npm install @duckdb/node-api');
});
