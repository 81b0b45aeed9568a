/** Studies as the server tells of them: found, their groups, the graphs behind a row, and what is refused. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { collect } from '../../src/engine/study/collect.ts';
import { query } from '../../src/engine/study/query.ts';
import type { GraphsBehind, StudyDetail, StudyList } from '../../src/viewer/api.ts';
import { madeFolder, randomPrompts, type MadeFeature, type MadePrompt } from '../study/made-graphs.ts';
import { answer, errorCode, openedViewer, type OpenedViewer } from './opened.ts';

const PLANTED: MadeFeature = [1, -1, 777];
const N_GRAPHS = 20;

/** Three of four even prompts have the planted feature. */
function prompts(): MadePrompt[] {
  return randomPrompts(N_GRAPHS, 5).map((prompt, i) => {
    const has = i % 2 === 0 && i % 8 !== 0;
    const metadata = { ...prompt.metadata, n: i, 'odd "name"': i % 3 === 0 ? "it's" : 'b' };
    return { ...prompt, metadata, features: has ? [...prompt.features, PLANTED] : prompt.features };
  });
}

async function fill(folder: string): Promise<void> {
  await madeFolder(folder, prompts());
  const study = path.join(folder, 'study');
  await collect({ folders: [folder], output: study, nodeThreshold: 1, edgeThreshold: 1 });
}

let viewer: OpenedViewer;
beforeAll(async () => {
  viewer = await openedViewer(fill);
});
afterAll(async () => viewer[Symbol.asyncDispose]());

const ask = (address: string) => viewer.ask(`/api/studies${address}`);
const GROUPS = 'by=group&a=even&b=odd';

describe('studies', () => {
  it('are found in a served folder and in those below it, and counted at the start', async () => {
    const { studies } = answer<StudyList>(await ask(''));
    expect(studies).toEqual([{ name: 'study', n_graphs: N_GRAPHS, scan: 'owner/set', problem: null }]);
    expect([viewer.viewer.n_studies, viewer.viewer.n_graphs]).toEqual([1, N_GRAPHS]);
    const folder = path.join(viewer.folder, 'study');
    await using itself = await openedViewer(() => undefined, { paths: [folder] });
    expect(answer<StudyList>(await itself.ask('/api/studies')).studies[0]!.name).toBe('study');
    // Nothing else may lie in the folder of a study.
    expect(itself.viewer.folder).toBeNull();
  });

  it('have the columns that graphs can be compared by, with their groups', async () => {
    const { columns, n_graphs, model } = answer<StudyDetail>(await ask('/study'));
    expect({ n_graphs, model }).toEqual({ n_graphs: N_GRAPHS, model: 'owner/model' });
    // Not the column n, in which every graph has a value of its own.
    expect(columns.map(({ name }) => name)).toEqual(['group', 'odd "name"', 'answer']);
    expect(columns[0]!.groups.map(({ name, n_graphs }) => [name, n_graphs])).toEqual([
      ['even', 10],
      ['odd', 10],
    ]);
    const { rows } = await query({
      study: path.join(viewer.folder, 'study'),
      sql: "SELECT avg(replacement), avg(completeness) FROM graphs WHERE meta_group = 'even'",
    });
    const { replacement, completeness } = columns[0]!.groups[0]!;
    expect([replacement, completeness]).toEqual(rows[0]);
  });

  it('that are damaged are listed with the reason', async () => {
    await using damaged = await openedViewer(async (folder) => {
      await fill(folder);
      writeFileSync(path.join(folder, 'study', 'study.json'), '{"format":"tracer.study"');
      mkdirSync(path.join(folder, 'linked'));
      for (const name of ['graphs', 'nodes', 'edges', 'features']) {
        const file = path.join(folder, 'linked', `${name}.parquet`);
        if (name === 'graphs') symlinkSync('/dev/zero', file);
        else writeFileSync(file, '');
      }
      writeFileSync(path.join(folder, 'linked', 'study.json'), '{}');
    });
    const { studies } = answer<StudyList>(await damaged.ask('/api/studies'));
    expect(studies.map(({ name, problem }) => [name, problem])).toEqual([
      ['linked', expect.stringContaining('regular files only')],
      ['study', expect.stringContaining('study.json')],
    ]);
    const reply = await damaged.ask('/api/studies/study');
    expect([reply.status, errorCode(reply)]).toEqual([422, 'json_syntax']);
  });
});

describe('the graphs behind a row', () => {
  it('are those of both groups that have the feature, with its values', async () => {
    const { graphs } = answer<GraphsBehind>(await ask(`/study/graphs?${GROUPS}&feature=0/10`));
    const { rows } = await query({
      study: path.join(viewer.folder, 'study'),
      sql: `SELECT slug, meta_group, sum(influence::DOUBLE), max(activation), any_value(id) FROM graphs JOIN nodes USING (graph)
            WHERE layer = 0 AND feature = 10 AND kind = 'feature' GROUP BY ALL ORDER BY 3 DESC`,
    });
    expect(graphs.length).toBeGreaterThan(3);
    expect(
      graphs.map(({ slug, group, influence, activation, nodes }) => [
        slug,
        group,
        influence,
        activation,
        ...nodes,
      ]),
    ).toEqual(rows);
    for (const { slug, served, weight, prompt } of graphs) {
      expect({ served, weight }).toEqual({ served: slug, weight: null });
      expect(prompt).toMatch(/^The capital of place\d is$/);
    }
    const planted = answer<GraphsBehind>(await ask(`/study/graphs?${GROUPS}&feature=1/777`));
    expect(planted.graphs.map(({ group }) => group)).toEqual(Array.from({ length: 7 }, () => 'even'));
  });

  it('are those that have the link, with its two ends', async () => {
    const { graphs } = answer<GraphsBehind>(await ask(`/study/graphs?${GROUPS}&source=1/777&target=answer`));
    expect(graphs).toHaveLength(7);
    for (const { nodes, weight, activation, token } of graphs) {
      expect(nodes[0]).toMatch(/^1_777_\d+$/);
      expect(nodes).toHaveLength(2);
      expect(weight).toBeGreaterThan(0);
      expect({ activation, isAnswer: token!.startsWith(' answer') }).toEqual({
        activation: null,
        isAnswer: true,
      });
    }
    const reply = await ask(`/study/graphs?${GROUPS}&source=token&target=1/777`);
    expect(answer<GraphsBehind>(reply).graphs).toHaveLength(7);
  });

  it('are named by a column and values with quotes in them', async () => {
    const groups = new URLSearchParams({ by: 'odd "name"', a: "it's", b: 'b' }).toString();
    const { graphs } = answer<GraphsBehind>(await ask(`/study/graphs?${groups}&feature=1/777`));
    expect(new Set(graphs.map(({ group }) => group))).toEqual(new Set(["it's", 'b']));
  });

  it('are not opened where their files are not served', async () => {
    await using alone = await openedViewer(async (folder) => {
      await fill(folder);
      renameSync(path.join(folder, 'study'), path.join(folder, '../study'));
    });
    const study = path.join(alone.folder, '../study');
    await using itself = await openedViewer(() => undefined, { paths: [study] });
    const reply = await itself.ask(`/api/studies/study/graphs?${GROUPS}&feature=1/777`);
    const { graphs } = answer<GraphsBehind>(reply);
    expect(graphs.map(({ served }) => served)).toEqual(Array.from({ length: 7 }, () => null));
  });
});

describe('a request about a study', () => {
  it.each([
    ['/other', 404, 'study_not_found'],
    ['/..%2Fstudy', 404, 'study_not_found'],
    [`/other/graphs?${GROUPS}&feature=1/777`, 404, 'study_not_found'],
    ['/study/graphs?by=gruop&a=even&b=odd&feature=1/777', 400, 'unknown_column'],
    ['/study/graphs?by=group&a=even&feature=1/777', 400, 'missing_value'],
    [`/study/graphs?${GROUPS}`, 400, 'bad_value'],
    [`/study/graphs?${GROUPS}&feature=1`, 400, 'bad_value'],
    [`/study/graphs?${GROUPS}&feature=1/777/2`, 400, 'bad_value'],
    [`/study/graphs?${GROUPS}&feature=-1/777`, 400, 'bad_value'],
    [`/study/graphs?${GROUPS}&source=1/777`, 400, 'bad_value'],
    [`/study/graphs?${GROUPS}&source=error&target=answer`, 400, 'bad_value'],
    // Names and values that would be SQL if they were not checked or quoted.
    ['/study/graphs?by=meta_group%22%20FROM%20graphs;--&a=even&b=odd&feature=1/777', 400, 'unknown_column'],
    ['/study/graphs?by=(SELECT%201)&a=even&b=odd&feature=1/777', 400, 'unknown_column'],
    [`/study/graphs?${GROUPS}&feature=1/777%20OR%201=1`, 400, 'bad_value'],
    [`/study/graphs?${GROUPS}&source=1/777'&target=answer`, 400, 'bad_value'],
  ])('%s is answered with %d', async (address, status, code) => {
    const reply = await ask(address);
    expect([reply.status, errorCode(reply)]).toEqual([status, code]);
  });

  it('takes a value as nothing but a value', async () => {
    const groups = new URLSearchParams({ by: 'group', a: "even') OR ('1' = '1", b: 'none' }).toString();
    const { graphs } = answer<GraphsBehind>(await ask(`/study/graphs?${groups}&feature=0/10`));
    expect(graphs).toEqual([]);
  });

  it.each([
    [{ study: 'other', by: 'group', a: 'even', b: 'odd' }, 404, 'study_not_found'],
    [{ study: 'study', by: 'x" OR 1=1 --', a: 'even', b: 'odd' }, 400, 'unknown_column'],
    [{ study: 'study', by: 'group', a: 'even' }, 400, 'bad_field'],
    [{ study: 'study', by: 'group', a: 'even', b: 'odd', where: '1 = 1' }, 400, 'bad_field'],
  ])('for a contrast is checked before it is queued: %j', async (question, status, code) => {
    const reply = await viewer.send('POST', '/api/jobs', { kind: 'contrast', ...question });
    expect([reply.status, errorCode(reply)]).toEqual([status, code]);
  });
});
