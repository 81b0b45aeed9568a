import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readGraph, writeGraph } from '../../src/graph/files.ts';
import { readExpected, readGolden, toleranceOf } from '../graph/golden.ts';
import { tracer } from './shared.ts';
import { envelope, startsOfNode, tracer as startTracer } from './start.ts';

/** Above what Node itself needs, so that the whole stays below a quarter of a second. */
/** In starts of Node alone: 0.2 s where that starts in 0.04 s. It takes 2.1. */
const LONGEST_START = 5;

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
    }>('scores', first, '--pinned', '1:10:9', '0:10:65');
    const tolerance = toleranceOf('tiny-a').probabilities_influence_scores;
    const { replacement, completeness } = graphs[0]!.scores;
    expect(Math.abs(replacement - golden.entry.replacement_score)).toBeLessThanOrEqual(tolerance);
    expect(Math.abs(completeness - golden.entry.completeness_score)).toBeLessThanOrEqual(tolerance);
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

  it.each(['graphml', 'dot', 'csv', 'neuronpedia', 'svg', 'html'])(
    'writes %s beside the graph',
    async (format) => {
      const { files } = await ask<{ files: { path: string; bytes: number }[] }>(
        'export',
        first,
        '--format',
        format,
      );
      expect(files.length).toBe(format === 'csv' ? 2 : 1);
      for (const { path: file, bytes } of files)
        expect(readFileSync(path.resolve(folder, file)).length).toBe(bytes);
    },
  );

  it('writes the viewer files of the reference, but for unique error ids', async () => {
    await ask('export', first, '--format', 'neuronpedia', '--graph-dir', 'viewer', '--slug', 'p2');
    expect(readdirSync(path.join(folder, 'viewer')).sort()).toEqual(['graph-metadata.json', 'p2.json']);
    interface ViewerFile {
      readonly nodes: { readonly node_id: string; readonly jsNodeId: string }[];
      readonly links: { readonly weight: number }[];
    }
    const written = JSON.parse(readFileSync(path.join(folder, 'viewer/p2.json'), 'utf8')) as ViewerFile;
    const reference = golden.entry.graph_files.find((file) => file.node_threshold === 0.8)!;
    const expected = readExpected('tiny-a', reference.file) as ViewerFile;
    expect(written.nodes.map(({ jsNodeId }) => jsNodeId)).toEqual(
      expected.nodes.map(({ jsNodeId }) => jsNodeId),
    );
    expect(written.links.map(({ weight }) => weight)).toEqual(expected.links.map(({ weight }) => weight));
    const ids = written.nodes.map(({ node_id }) => node_id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('draws what was pinned in the viewer, from a graph file and from a viewer file', async () => {
    const pinned = {
      pinnedIds: ['3_15_10', '2_113_10', '2_111_10'],
      supernodes: [['two', '2_113_10', '2_111_10']],
    };
    await ask('export', first, '--format', 'neuronpedia', '--output', 'pinned.json');
    for (const file of [first, path.join(folder, 'pinned.json')]) {
      const { dir, name } = path.parse(file);
      const annotations = path.join(dir, `${name}.annotations.json`);
      writeFileSync(annotations, JSON.stringify(pinned));
      const result = await ask<{ n_nodes: number }>(
        'export',
        file,
        '--format',
        'svg',
        '--subgraph',
        '--theme',
        'dark',
      );
      expect(result.n_nodes).toBe(2);
      expect(readFileSync(path.join(dir, `${name}.subgraph.svg`), 'utf8')).toContain(
        '<desc id="desc">2 boxes: ',
      );
      rmSync(annotations);
    }
    const { exitCode, stderr } = await tracer(['graph', 'export', first, '--format', 'svg', '--subgraph'], {
      cwd: folder,
    });
    expect(exitCode).toBe(2);
    expect(stderr).toContain('no node of');
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

  it.each([
    [['graph', 'tpo', first], 'graph', 'unknown_command', "Did you mean 'top'?"],
    [['graph', 'paths', first, '--from', 'Dalas'], 'graph paths', 'unknown_node', 'Did you mean "Dallas"?'],
    [['graph', 'export', first, '--format', 'dot', '--slug', 'x'], 'graph export', 'viewer_flag', '--slug'],
    [
      ['graph', 'export', first, '--format', 'html', '--subgraph'],
      'graph export',
      'viewer_flag',
      '--subgraph',
    ],
    [['graph', 'merge', first, '--format', 'dot'], 'graph merge', 'format_without_output', '--output'],
    [['graph', 'prune', first, '--output', first], 'graph prune', 'output_is_input', 'another name'],
    [['graph', 'suggest', first, '--output', 'x.safetensors'], 'graph suggest', 'bad_value', '.json'],
    [
      ['graph', 'export', first, '--format', 'svg', '--output', 'x.safetensors'],
      'graph export',
      'bad_value',
      '.svg',
    ],
    [['graph', 'merge', first, second, '--output', 'x.safetensors'], 'graph merge', 'bad_value', '.json'],
    [['report', first, '--format', 'html', '--output', 'x.safetensors'], 'report', 'bad_value', '.html'],
  ])(
    'answers %j with exit code 2 and the next step, as one JSON document',
    async (args, command, code, hint) => {
      const finished = await tracer([...args, '--json'], { cwd: folder });
      expect({ exitCode: finished.exitCode, stderr: finished.stderr }).toEqual({ exitCode: 2, stderr: '' });
      const document = envelope(finished);
      expect(document).toMatchObject({ schema_version: 1, command, error: { code } });
      expect(document.error!.hint).toContain(hint);
    },
  );

  it('lists as many differences as asked for and says how many there are', async () => {
    const all = ['--node-threshold', '1', '--edge-threshold', '1'];
    const other = path.join(folder, 'other.safetensors');
    await writeGraph(other, (await readGolden('tiny-a', 'graph-plt-jumprelu-p1')).graph);
    const { stdout, exitCode } = await tracer(['graph', 'diff', other, first, '--k', '2', ...all]);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/\nAppeared \(2 of \d+\)\n(?:.+\n){3}\nVanished \(2 of \d+\)\n/);
  });

  it('starts at once and without TensorFlow', async () => {
    const { stderr, exitCode } = await startTracer(['graph', 'top', first], { env: { NODE_DEBUG: 'esm' } });
    expect(exitCode).toBe(0);
    expect(stderr).toContain('dist/engine/graph/graph.js');
    expect(stderr).not.toContain('@tensorflow');
    expect(await startsOfNode(['graph', 'top', first], LONGEST_START)).toBeLessThan(LONGEST_START);
  });
});
