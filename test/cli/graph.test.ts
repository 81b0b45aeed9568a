import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readGraph, writeGraph } from '../../src/graph/files.ts';
import { readGolden } from '../graph/golden.ts';
import { tracer } from './start.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'tracer-graph-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const first = path.join(folder, 'first.safetensors');
const second = path.join(folder, 'second.safetensors');

async function ask<T>(...args: string[]): Promise<T> {
  const { exitCode, stdout } = await tracer(['graph', ...args, '--json'], { cwd: folder });
  const document = JSON.parse(stdout) as { data?: T; error?: { message: string } };
  if (exitCode !== 0 || !document.data) throw new Error(`exit code ${exitCode}: ${stdout}`);
  return document.data;
}

describe('tracer graph', () => {
  let golden: Awaited<ReturnType<typeof readGolden>>;
  beforeAll(async () => {
    golden = await readGolden('tiny-a', 'graph-plt-jumprelu-p2');
    await writeGraph(first, golden.graph);
    await writeGraph(second, (await readGolden('tiny-a', 'graph-plt-jumprelu-p2-tokens')).graph);
  });

  it('prunes as the reference does, and what it writes can be read again', async () => {
    const kept = path.join(folder, 'kept.safetensors');
    const result = await ask<{ n_nodes: number; n_edges: number }>('prune', first, '--output', kept);
    const pruning = golden.prunings.find(({ key }) => key === 'prune_n0.8_e0.98')!;
    expect(result.n_nodes).toBe(pruning.nodeMask.reduce((a, b) => a + b, 0));
    expect(result.n_edges).toBe(pruning.edges.length / 2);
    expect((await readGraph(kept)).layout.n_features).toBeLessThan(golden.graph.layout.n_features);
  });

  it('gives the scores of the reference, and others for pinned nodes', async () => {
    const { graphs } = await ask<{
      graphs: {
        scores: { replacement: number; completeness: number };
        pinned: { scores: { replacement: number } };
      }[];
    }>('scores', first, '--pinned', '1:10:9', '--pinned', '0:10:65');
    expect(graphs[0]!.scores.replacement).toBeCloseTo(golden.entry.replacement_score, 4);
    expect(graphs[0]!.scores.completeness).toBeCloseTo(golden.entry.completeness_score, 4);
    expect(graphs[0]!.pinned.scores.replacement).toBeLessThan(graphs[0]!.scores.replacement);
  });

  it('lists the strongest features, best first', async () => {
    const { top } = await ask<{ top: { influence: number }[] }>('top', first, '--k', '5');
    expect(top).toHaveLength(5);
    expect(top.map(({ influence }) => influence)).toEqual(
      top.map(({ influence }) => influence).sort((a, b) => b - a),
    );
  });

  it('finds paths from a token to an explained token', async () => {
    const { paths } = await ask<{ paths: { strength: number; nodes: { token: string }[] }[] }>(
      ...['paths', first, '--from', 'Dallas', '--to', ' to', '--k', '3'],
    );
    expect(paths).toHaveLength(3);
    for (const { nodes } of paths) {
      expect(nodes[0]!.token).toBe('Dallas');
      expect(nodes.at(-1)!.token).toBe(' to');
    }
  });

  it('tells two graphs apart and merges them', async () => {
    const diff = await ask<{ n_common: number; vanished: unknown[] }>('diff', first, second);
    expect(diff.n_common).toBeGreaterThan(0);
    const same = await ask<{ appeared: unknown[]; vanished: unknown[]; changed: unknown[] }>(
      'diff',
      first,
      first,
    );
    expect([same.appeared, same.vanished, same.changed]).toEqual([[], [], []]);
    const { n_nodes } = await ask<{ n_nodes: number }>('merge', first, second, '--output', 'merged.graphml');
    expect(n_nodes).toBeGreaterThan(0);
    expect(readFileSync(path.join(folder, 'merged.graphml'), 'utf8')).toContain('<graphml');
  });

  it.each(['graphml', 'dot', 'csv', 'neuronpedia'])('writes %s beside the graph', async (format) => {
    const { files } = await ask<{ files: { path: string; bytes: number }[] }>(
      'export',
      first,
      '--format',
      format,
    );
    expect(files.length).toBe(format === 'csv' ? 2 : 1);
    for (const { path: file, bytes } of files)
      expect(readFileSync(path.resolve(folder, file)).length).toBe(bytes);
  });

  it('writes the viewer files of the reference, but for unique error ids', async () => {
    await ask('export', first, '--format', 'neuronpedia', '--graph-dir', 'viewer', '--slug', 'p2');
    expect(readdirSync(path.join(folder, 'viewer')).sort()).toEqual(['graph-metadata.json', 'p2.json']);
    const written = JSON.parse(readFileSync(path.join(folder, 'viewer/p2.json'), 'utf8')) as {
      nodes: { node_id: string }[];
    };
    const ids = written.nodes.map(({ node_id }) => node_id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('answers a node that is not there with exit code 2, a missing file with 3, a damaged one with 4', async () => {
    writeFileSync(path.join(folder, 'damaged.safetensors'), readFileSync(first).subarray(0, 2000));
    const codes = [];
    for (const args of [
      ['paths', first, '--to', 'Atlantis'],
      ['top', 'missing.safetensors'],
      ['top', 'damaged.safetensors'],
    ]) {
      const { exitCode, stderr } = await tracer(['graph', ...args], { cwd: folder });
      expect(stderr).toMatch(/^error: .+\n/);
      codes.push(exitCode);
    }
    expect(codes).toEqual([2, 3, 4]);
  });
});
