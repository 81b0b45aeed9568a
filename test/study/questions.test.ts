import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { cluster } from '../../src/engine/study/cluster.ts';
import { collect } from '../../src/engine/study/collect.ts';
import { common } from '../../src/engine/study/common.ts';
import { contrast } from '../../src/engine/study/contrast.ts';
import { query } from '../../src/engine/study/query.ts';
import { parseXml } from '../picture/xml.ts';
import { failure, madeFolder, randomPrompts, type MadeFeature, type MadePrompt } from './made-graphs.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'tracer-questions-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const study = path.join(folder, 'study');
const svg = path.join(folder, 'picture.svg');

const PLANTED: MadeFeature = [1, -1, 777];
const N_GRAPHS = 60;

beforeAll(async () => {
  // Even prompts differ from odd ones in one feature only, which three of four of them have.
  const prompts = randomPrompts(N_GRAPHS, 5).map((prompt, i): MadePrompt => {
    const has = i % 2 === 0 && i % 8 !== 0;
    return { ...prompt, features: has ? [...prompt.features, PLANTED] : prompt.features };
  });
  await madeFolder(path.join(folder, 'graphs'), prompts);
  await collect({
    folders: [path.join(folder, 'graphs')],
    output: study,
    nodeThreshold: 1,
    edgeThreshold: 1,
  });
});

describe('common', () => {
  it('counts what SQL counts, group by group, and draws it', async () => {
    const result = await common({ study, by: 'group', top: 3, svg });
    expect(result.groups.map(({ group, n_graphs }) => [group, n_graphs])).toEqual([
      ['even', 30],
      ['odd', 30],
    ]);
    for (const { group, features, n_graphs } of result.groups) {
      expect(features).toHaveLength(3);
      for (const { layer, feature, n_graphs: count, share, interval, mean_influence } of features) {
        const { rows } = await query({
          study,
          sql: `SELECT count(DISTINCT graph), sum(influence) / ${n_graphs} FROM nodes JOIN graphs USING (graph)
                WHERE meta_group = '${group}' AND kind = 'feature' AND layer = ${layer} AND feature = ${feature}`,
        });
        expect(count).toBe(rows[0]![0]);
        expect(mean_influence).toBeCloseTo(rows[0]![1] as number, 6);
        expect(share).toBe(count / n_graphs);
        expect(interval[0]).toBeLessThan(share);
        expect(interval[1]).toBeGreaterThanOrEqual(share);
      }
    }
    const picture = parseXml(readFileSync(svg, 'utf8'));
    expect(picture.name).toBe('svg');
  });

  it('takes all graphs as one group, or those of a condition', async () => {
    const all = await common({ study });
    expect([all.by, all.groups.length, all.groups[0]!.group, all.groups[0]!.n_graphs]).toEqual([
      null,
      1,
      null,
      60,
    ]);
    const some = await common({ study, where: "meta_group = 'odd' AND line > 30" });
    expect(some.groups[0]!.n_graphs).toBe(15);
    expect(await failure(common({ study, where: 'line > 1000' }))).toEqual([2, 'no_graphs']);
    expect(await failure(common({ study, where: 'nothing > 1' }))).toEqual([2, 'bad_sql']);
    expect(await failure(common({ study, by: 'gruop' }))).toEqual([2, 'unknown_column']);
  });
});

describe('contrast', () => {
  it('names the one thing that was planted first, and nothing else among the features', async () => {
    const result = await contrast({ study, groups: { a: 'even', b: 'odd' }, svg });
    const [first, second] = result.features;
    expect([first!.layer, first!.feature, first!.n_b]).toEqual([PLANTED[0], PLANTED[2], 0]);
    expect(first!.difference).toBeGreaterThan(0);
    expect(first!.p_adjusted).toBeLessThanOrEqual(1 / 2001 + 1e-12);
    expect(second!.p_adjusted).toBeGreaterThan(0.05);
    expect(result.n_significant.features).toBe(1);
    const named = result.links.filter(({ p_adjusted }) => p_adjusted <= 0.05);
    expect(named.length).toBeGreaterThan(0);
    for (const { source, target } of named) expect([source, target]).toContain('1/777');
    expect(readFileSync(svg, 'utf8')).toContain('1/777');
    expect(await contrast({ study, groups: { a: 'even', b: 'odd' } })).toEqual({ ...result, files: [] });
  });

  it('names nothing in two halves of the same group, whatever the seed', async () => {
    const whereA = "meta_group = 'odd' AND line % 4 = 2";
    for (const seed of [1, 2, 3]) {
      const halves = await contrast({
        study,
        groups: { whereA, whereB: "meta_group = 'odd' AND line % 4 = 0" },
        ...{ seed, permutations: 500 },
      });
      expect([halves.a.n_graphs, halves.b.n_graphs]).toEqual([15, 15]);
      expect(halves.n_significant).toEqual({ features: 0, links: 0 });
    }
  });

  it('refuses groups that are not there, overlap, or are too small', async () => {
    const where = (whereA: string, whereB: string) => contrast({ study, groups: { whereA, whereB } });
    expect(await failure(contrast({ study, groups: { a: 'even', b: 'od' } }))).toEqual([2, 'unknown_group']);
    expect(await failure(where('line < 20', 'line > 10'))).toEqual([2, 'groups_overlap']);
    expect(await failure(where('line = 1', 'line > 10'))).toEqual([2, 'group_too_small']);
    expect(await failure(where('line < 20); DROP VIEW graphs; --', 'line > 10'))).toEqual([2, 'bad_sql']);
  });

  it('stops when it is told to', async () => {
    const signal = AbortSignal.timeout(50);
    const work = contrast({ study, groups: { a: 'even', b: 'odd' }, permutations: 1_000_000, signal });
    await expect(work).rejects.toThrow(/timeout/);
  });
});

describe('cluster', () => {
  it('puts prompts together whose graphs have the same features', async () => {
    const shared = (of: number): MadeFeature[] =>
      Array.from({ length: 6 }, (_, i): MadeFeature => [i % 3, -1, 1000 * of + i]);
    const prompts = randomPrompts(30, 9).map((prompt, i): MadePrompt => {
      const own = prompt.features.slice(0, 2);
      return { ...prompt, features: [...own, ...shared(1 + (i % 3))], metadata: { kind: `k${i % 3}` } };
    });
    await madeFolder(path.join(folder, 'three'), prompts);
    const three = path.join(folder, 'three-study');
    await collect({ folders: [path.join(folder, 'three')], output: three });
    const result = await cluster({ study: three, by: 'kind', svg });
    expect(result.clusters.map(({ groups }) => groups)).toEqual(
      ['k0', 'k1', 'k2'].map((group) => [{ group, n_graphs: 10 }]),
    );
    expect(result.silhouette).toBeGreaterThan(0.3);
    result.clusters.forEach(({ features, typical, graphs }, i) => {
      expect(Math.floor(features[0]!.feature / 1000)).toBe(1 + i);
      expect(features[0]).toMatchObject({ share: 1, share_elsewhere: 0 });
      expect(graphs).toContain(typical);
    });
    expect(parseXml(readFileSync(svg, 'utf8')).name).toBe('svg');
    expect((await cluster({ study: three, clusters: 5 })).clusters).toHaveLength(5);
    expect(await failure(cluster({ study: three, clusters: 31 }))).toEqual([2, 'too_few_graphs']);
  });
});
