import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { existsSync, linkSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { exportFile, mergeFiles, type ExportOptions } from '../../src/engine/graph/export.ts';
import { diffFiles, pathsOfFile, pruneFile, scoreFiles, topOfFile } from '../../src/engine/graph/graph.ts';
import { UsageError } from '../../src/errors.ts';
import { readGraph, writeGraph } from '../../src/graph/files.ts';
import { goldenIds, readGolden, toleranceOf, type GoldenGraph } from '../graph/golden.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'tracer-graph-engine-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const at = (name: string): string => path.join(folder, name);

/** A golden graph as a file of its own. */
async function fileOf({ fixture, id, graph }: GoldenGraph): Promise<string> {
  const file = at(`${fixture}-${id}.safetensors`);
  await writeGraph(file, graph);
  return file;
}

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'nothing thrown',
    (error: unknown) => (error instanceof UsageError ? error.code : String(error)),
  );

let p1: string;
let p2: string;
let golden: GoldenGraph;
beforeAll(async () => {
  golden = await readGolden('tiny-a', 'graph-plt-jumprelu-p2');
  p2 = await fileOf(golden);
  p1 = await fileOf(await readGolden('tiny-a', 'graph-plt-jumprelu-p1'));
});

describe('the name of a graph file', () => {
  it.each(['x.json', 'x.pt'])('is not %s, which would be read as another kind of file', async (name) => {
    expect(await codeOf(pruneFile(p1, { output: at(name) }))).toBe('bad_value');
    expect(existsSync(at(name))).toBe(false);
  });

  it("is not that of a viewer's JSON, which is said when it is read as one", async () => {
    const file = at('viewer.json');
    await exportFile(p1, { format: 'neuronpedia', output: file });
    const refused = topOfFile(file, 3);
    await expect(refused).rejects.toThrow(`${file} is JSON by its name; expected a graph file`);
  });

  it('may lead through a folder that is not there and back', async () => {
    const output = `${folder}/nowhere/../through.safetensors`;
    const { files } = await pruneFile(p1, { output });
    expect(files).toEqual([{ path: output, bytes: readFileSync(at('through.safetensors')).length }]);
  });
});

describe.each(goldenIds())('$fixture $id as a file', ({ fixture, id }) => {
  it('has the scores of the reference and is pruned as by the reference', async () => {
    const expected = await readGolden(fixture, id);
    const file = await fileOf(expected);
    const { graphs } = await scoreFiles([file]);
    const tolerance = toleranceOf(fixture).probabilities_influence_scores;
    const { replacement, completeness } = graphs[0]!.scores;
    expect(Math.abs(replacement - expected.entry.replacement_score)).toBeLessThanOrEqual(tolerance);
    expect(Math.abs(completeness - expected.entry.completeness_score)).toBeLessThanOrEqual(tolerance);
    expect(expected.prunings).toHaveLength(2);
    for (const { nodeThreshold, edgeThreshold, nodeMask, edges } of expected.prunings) {
      const result = await pruneFile(file, { nodeThreshold, edgeThreshold });
      expect(result).toMatchObject({
        n_nodes: nodeMask.filter((kept) => kept === 1).length,
        n_edges: edges.length / 2,
        before: { n_nodes: nodeMask.length, n_features: expected.graph.layout.n_features },
      });
    }
  });
});

describe('a pruned graph file', () => {
  it('holds the kept features and edges and answers questions as any other', async () => {
    const kept = at('kept.safetensors');
    const result = await pruneFile(p2, { output: kept });
    const graph = await readGraph(kept);
    expect(graph.layout.n_features).toBe(result.n_features);
    expect(graph.edges.filter((weight) => weight !== 0)).toHaveLength(result.n_edges);
    expect(result.files[0]).toEqual({ path: kept, bytes: readFileSync(kept).byteLength });
    const { top } = await topOfFile(kept, 3);
    expect(top).toHaveLength(3);
  });
});

describe('scores of pinned features', () => {
  it('are those of the whole graph when all are pinned, and lower on tokens alone', async () => {
    const { top } = await topOfFile(p2, golden.graph.layout.n_features);
    const all = await scoreFiles(
      [p2],
      top.map(({ id }) => id),
    );
    const { scores, pinned } = all.graphs[0]!;
    const tolerance = toleranceOf('tiny-a').probabilities_influence_scores;
    expect(Math.abs(pinned!.scores.replacement - scores.replacement)).toBeLessThanOrEqual(tolerance);
    expect(Math.abs(pinned!.scores.completeness - scores.completeness)).toBeLessThanOrEqual(tolerance);
    const none = await scoreFiles([p2], ['Dallas']);
    expect(none.graphs[0]!.pinned).toMatchObject({ n_nodes: 1, n_features: 0 });
    expect(none.graphs[0]!.pinned!.scores.replacement).toBeLessThan(scores.replacement);
  });
});

describe('paths', () => {
  it('start at any token and end at any explained token unless they are named', async () => {
    const free = await pathsOfFile(p2, { from: [], to: [] }, 5);
    expect(free.paths).toHaveLength(5);
    for (const { nodes } of free.paths) {
      expect([nodes[0]!.kind, nodes.at(-1)!.kind]).toEqual(['token', 'logit']);
    }
    const named = await pathsOfFile(p2, { from: ['Dallas'], to: [' to'] }, 5);
    expect(named.paths[0]!.strength).toBeLessThanOrEqual(free.paths[0]!.strength);
  });

  it('name the nearest node for a mistyped one', async () => {
    await expect(pathsOfFile(p2, { from: ['Dalas'], to: [] }, 5)).rejects.toMatchObject({
      code: 'unknown_node',
      hint: 'Did you mean "Dallas"?',
    });
  });
});

describe('the difference of two files', () => {
  it('lists k of each kind and counts all', async () => {
    const everything = { nodeThreshold: 1, edgeThreshold: 1 };
    const all = await diffFiles(p1, p2, everything);
    const some = await diffFiles(p1, p2, { ...everything, k: 2 });
    expect(all.appeared).toHaveLength(all.n_appeared);
    expect(all.vanished).toHaveLength(all.n_vanished);
    expect(all.changed).toHaveLength(all.n_changed);
    expect(Math.min(all.n_appeared, all.n_vanished, all.n_changed)).toBeGreaterThan(2);
    expect(some).toEqual({
      ...all,
      appeared: all.appeared.slice(0, 2),
      vanished: all.vanished.slice(0, 2),
      changed: all.changed.slice(0, 2),
    });
  });
});

describe('writing', () => {
  it('never replaces a graph it reads, under whatever name', async () => {
    const before = readFileSync(p2);
    const link = at('link.graphml');
    symlinkSync(p2, link);
    const graph = at('graph.json');
    await writeGraph(graph, golden.graph);
    // As two spellings of one name are, on a disk that does not tell case apart.
    const sameFile = at('SAME.graphml');
    linkSync(p2, sameFile);
    const codes = [
      await codeOf(exportFile(p2, { format: 'graphml', output: sameFile })),
      await codeOf(pruneFile(p2, { output: p2 })),
      await codeOf(exportFile(p2, { format: 'graphml', output: link })),
      await codeOf(exportFile(graph, { format: 'neuronpedia' })),
      await codeOf(exportFile(graph, { format: 'neuronpedia', graphDir: folder })),
      await codeOf(mergeFiles([p1, p2], { output: path.join(folder, '.', path.basename(p2)) })),
    ];
    expect(codes).toEqual(Array(6).fill('output_is_input'));
    expect(readFileSync(p2).equals(before)).toBe(true);
    expect((await readGraph(graph)).layout.n_nodes).toBe(golden.graph.layout.n_nodes);
  });

  it.each<[ExportOptions, string]>([
    [{ format: 'dot', slug: 'x' }, 'viewer_flag'],
    [{ format: 'csv', graphDir: 'x' }, 'viewer_flag'],
    [{ format: 'graphml', scan: 'x' }, 'viewer_flag'],
    [{ format: 'html', theme: 'dark' }, 'viewer_flag'],
    [{ format: 'dot', subgraph: true }, 'viewer_flag'],
    [{ format: 'svg', subgraph: true }, 'nothing_pinned'],
    [{ format: 'neuronpedia', graphDir: 'x', output: 'y' }, 'two_places'],
    [{ format: 'dot', nodeThreshold: 2 }, 'threshold_range'],
  ])('with %j is refused', async (options, code) => {
    expect(await codeOf(exportFile(p2, options))).toBe(code);
  });

  it('of a merged graph needs a file for its format', async () => {
    expect(await codeOf(mergeFiles([p1, p2], { format: 'dot' }))).toBe('format_without_output');
    const { files } = await mergeFiles([p1, p2], { format: 'csv', output: at('both.csv') });
    expect(files.map(({ path: file }) => path.basename(file))).toEqual(['both.csv', 'both.nodes.csv']);
  });

  it('leaves nothing behind when it was stopped', async () => {
    const output = at('stopped.dot');
    const signal = AbortSignal.abort(new UsageError({ code: 'stopped', message: 'stopped' }));
    expect(await codeOf(exportFile(p2, { format: 'dot', output, signal }))).toBe('stopped');
    expect(existsSync(output)).toBe(false);
  });
});
