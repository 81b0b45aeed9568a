import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { SuggestResult } from '../../src/engine/graph/suggest.ts';
import type { Annotations } from '../../src/graph/annotations.ts';
import { writeGraph } from '../../src/graph/files.ts';
import { readViewerGraph } from '../../src/graph/read-viewer.ts';
import { readGolden } from '../graph/golden.ts';
import { tracer } from './shared.ts';

const USAGE = 2;
const folder = mkdtempSync(path.join(tmpdir(), 'tracer-suggest-cli-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const graph = path.join(folder, 'graph.safetensors');

async function suggest(...args: string[]): Promise<SuggestResult> {
  const { exitCode, stdout } = await tracer(['graph', 'suggest', ...args, '--json'], { cwd: folder });
  if (exitCode !== 0) throw new Error(stdout);
  return (JSON.parse(stdout) as { data: SuggestResult }).data;
}

async function refusal(...args: string[]): Promise<{ exitCode: number | null; code: string; hint: string }> {
  const { exitCode, stdout } = await tracer(['graph', 'suggest', ...args, '--json'], { cwd: folder });
  const { error } = JSON.parse(stdout) as { error: { code: string; hint: string } };
  return { exitCode, code: error.code, hint: error.hint };
}

describe('tracer graph suggest', () => {
  beforeAll(async () => writeGraph(graph, (await readGolden('tiny-a', 'graph-plt-jumprelu-p2')).graph));

  it('gives boxes, links and three scores', async () => {
    const { boxes, links, scores, n_features } = await suggest(graph, '--max-boxes', '6');
    expect(boxes.length).toBeLessThanOrEqual(6);
    expect(boxes.some(({ kind }) => kind === 'feature')).toBe(true);
    expect(links.length).toBeGreaterThan(0);
    expect(n_features).toBeGreaterThan(0);
    for (const { completeness } of Object.values(scores)) {
      expect(completeness).toBeGreaterThan(0);
      expect(completeness).toBeLessThanOrEqual(1);
    }
  });

  it('writes pins and supernodes that are marked as suggested, and never over others', async () => {
    const output = path.join(folder, 'graph.annotations.json');
    const { boxes } = await suggest(graph, '--output', output);
    const written = JSON.parse(readFileSync(output, 'utf8')) as Annotations;
    expect(written.pinnedIds).toEqual(boxes.flatMap(({ ids }) => ids));
    expect(written.supernodes.map(([name]) => name)).toEqual(
      boxes.filter(({ kind }) => kind === 'feature').map(({ name }) => name),
    );
    expect(written.notes).toMatch(/^Suggested circuit/);

    writeFileSync(output, JSON.stringify({ notes: 'mine' }));
    expect(await refusal(graph, '--output', output)).toMatchObject({ exitCode: USAGE, code: 'file_exists' });
    expect(readFileSync(output, 'utf8')).toBe('{"notes":"mine"}');
    rmSync(output);
  });

  it("writes a viewer's file with them, from which the same boxes are suggested", async () => {
    const output = path.join(folder, 'viewer.json');
    const { boxes } = await suggest(graph, '--format', 'neuronpedia', '--output', output);
    const { qParams, nodes } = await readViewerGraph(output);
    const ids = new Set(nodes.map(({ node_id }) => node_id));
    expect(qParams.pinnedIds).toEqual(boxes.flatMap((box) => box.ids));
    expect(qParams.pinnedIds.filter((id) => !ids.has(id))).toEqual([]);
    const again = await suggest(output);
    expect(again.boxes.length).toBeGreaterThan(3);
    for (const id of again.boxes.flatMap((box) => box.ids)) expect(ids.has(id)).toBe(true);
  });

  it('refuses limits that nothing fits, and what would replace the graph', async () => {
    expect(await refusal(graph, '--max-nodes', '1000')).toMatchObject({
      exitCode: USAGE,
      code: 'suggest_limit',
    });
    expect(await refusal(graph, '--format', 'neuronpedia')).toMatchObject({
      exitCode: USAGE,
      code: 'format_without_output',
    });
    expect(await refusal(graph, '--format', 'neuronpedia', '--output', graph)).toMatchObject({
      exitCode: USAGE,
      code: 'output_is_input',
    });
    expect(existsSync(graph)).toBe(true);
  });
});
