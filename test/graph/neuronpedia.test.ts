import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as v from 'valibot';
import { pruneGraph } from '../../src/graph/prune.ts';
import { viewerGraph, type ViewerGraph } from '../../src/graph/neuronpedia.ts';
import { writeViewerGraph } from '../../src/graph/viewer-files.ts';
import { goldenIds, largestDifference, readExpected, readGolden, toleranceOf } from './golden.ts';
import { neuronpediaSchema } from './neuronpedia-schema.ts';
import { arbitraryGraph } from './random-graph.ts';
import { uniqueIds, type ReferenceFile } from './reference-file.ts';

const withoutInfluence = ({ influence: _, ...node }: { influence: number | null }) => node;
const influences = (nodes: readonly { influence: number | null }[]): number[] =>
  nodes.map(({ influence }) => influence ?? -1);

describe('viewer JSON', () => {
  it.each(goldenIds())(
    'is that of the reference but for the ids of errors: $fixture $id',
    async ({ fixture, id }) => {
      const { graph, entry } = await readGolden(fixture, id);
      expect(entry.graph_files.length).toBeGreaterThanOrEqual(1);
      for (const { file, slug, node_threshold, edge_threshold } of entry.graph_files) {
        const expected = uniqueIds(readExpected(fixture, file) as ReferenceFile);
        const pruned = pruneGraph(graph, { nodeThreshold: node_threshold, edgeThreshold: edge_threshold });
        const actual = JSON.parse(JSON.stringify(viewerGraph(pruned, { slug }))) as ViewerGraph;
        expect(actual.links).toEqual(expected.links);
        expect(actual.nodes.map(withoutInfluence)).toEqual(expected.nodes.map(withoutInfluence));
        expect(largestDifference(influences(actual.nodes), influences(expected.nodes))).toBeLessThanOrEqual(
          toleranceOf(fixture).probabilities_influence_scores,
        );
        expect(actual.qParams).toEqual(expected.qParams);
        expect(actual.metadata).toMatchObject({
          ...expected.metadata,
          scan: (expected.metadata['scan'] as string).replace('/', '-'),
        });
      }
    },
  );

  it("has the fields of Neuronpedia's schema and ids that occur once, whatever the tokens are", () => {
    fc.assert(
      fc.property(arbitraryGraph(), fc.string({ minLength: 1 }), (graph, text) => {
        const view = viewerGraph(pruneGraph(graph), { slug: `s${text}`, scan: `m${text}` });
        expect(v.safeParse(neuronpediaSchema, JSON.parse(JSON.stringify(view))).issues).toBeUndefined();
        const ids = view.nodes.map(({ node_id }) => node_id);
        expect(new Set(ids).size).toBe(ids.length);
        expect(
          view.links.filter(({ source, target }) => !ids.includes(source) || !ids.includes(target)),
        ).toEqual([]);
      }),
    );
  });

  it('tells what made it and with which settings', () => {
    const [graph] = fc.sample(arbitraryGraph(), 1);
    const { metadata } = viewerGraph(pruneGraph(graph!, { nodeThreshold: 0.5 }), { slug: 'a b/c' });
    expect(metadata).toMatchObject({
      slug: expect.stringMatching(/^a-b-c-[0-9a-f]{10}$/),
      scan: 'owner-set',
      info: {
        generator: { name: 'tracer', version: '1.2.3' },
        create_time_ms: Date.UTC(2026, 0, 2, 3, 4, 5),
      },
      generation_settings: { max_feature_nodes: 7500, batch_size: 512 },
      pruning_settings: { node_threshold: 0.5, edge_threshold: 0.98 },
    });
    expect(metadata.generation_settings).not.toHaveProperty('target_tokens');
  });

  it.each(['', '.', '..'])('refuses %j as a slug', (slug) => {
    const [graph] = fc.sample(arbitraryGraph(), 1);
    expect(() => viewerGraph(pruneGraph(graph!), { slug })).toThrow(/slug/);
  });
});

describe('a folder of viewer files', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'viewer-files-'));
  });
  afterEach(async () => rm(folder, { recursive: true }));

  const [graph] = fc.sample(arbitraryGraph(), 1);
  const view = (slug: string): ViewerGraph => viewerGraph(pruneGraph(graph!), { slug });
  const slugs = async (): Promise<string[]> => {
    const text = await readFile(path.join(folder, 'graph-metadata.json'), 'utf8');
    return (JSON.parse(text) as { graphs: { slug: string }[] }).graphs.map(({ slug }) => slug);
  };

  it('lists its graphs; one that is written again moves to the end', async () => {
    for (const slug of ['one', 'two', 'one']) await writeViewerGraph(path.join(folder), view(slug));
    expect(await slugs()).toEqual(['two', 'one']);
    expect((await readdir(folder)).sort()).toEqual(['graph-metadata.json', 'one.json', 'two.json']);
    expect(JSON.parse(await readFile(path.join(folder, 'one.json'), 'utf8'))).toEqual(
      JSON.parse(JSON.stringify(view('one'))),
    );
  });

  it('keeps the entries of all who write at the same time', async () => {
    const all = Array.from({ length: 8 }, (_, i) => `graph-${i}`);
    await Promise.all(all.map((slug) => writeViewerGraph(folder, view(slug))));
    expect((await slugs()).sort()).toEqual(all);
  });

  it('keeps what others put into the list, and does not write over a list that it cannot read', async () => {
    const list = path.join(folder, 'graph-metadata.json');
    await writeFile(list, JSON.stringify({ graphs: [{ slug: 'old', extra: 1 }], more: true }));
    await writeViewerGraph(folder, view('new'));
    expect(JSON.parse(await readFile(list, 'utf8'))).toMatchObject({
      graphs: [{ slug: 'old', extra: 1 }, { slug: 'new' }],
      more: true,
    });
    await writeFile(list, 'not JSON');
    await expect(writeViewerGraph(folder, view('new'))).rejects.toMatchObject({ code: 'json_syntax' });
    expect(await readFile(list, 'utf8')).toBe('not JSON');
  });
});
