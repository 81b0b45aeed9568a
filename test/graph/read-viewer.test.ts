import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { BadFileError, NotFoundError } from '../../src/errors.ts';
import {
  annotationsOf,
  annotationsPath,
  emptyAnnotations,
  readAnnotations,
  withAnnotations,
  writeAnnotations,
} from '../../src/graph/annotations.ts';
import { FEATURE_FIELDS, type Graph } from '../../src/graph/graph.ts';
import { viewerGraph, type ViewerGraph } from '../../src/graph/neuronpedia.ts';
import { pruneGraph } from '../../src/graph/prune.ts';
import { parseViewerGraph, readViewerGraph } from '../../src/graph/read-viewer.ts';
import { goldenIds, readGolden } from './golden.ts';
import { arbitraryGraph } from './random-graph.ts';

const GOLDEN = path.join(import.meta.dirname, '../fixtures/golden');
const OUR_ERROR = /^(\d+)_error_(\d+)$/;

describe.each(goldenIds())('$fixture $id', ({ fixture, id }) => {
  it('opens every file that the reference wrote, each link from the node it really comes from', async () => {
    const { graph, entry } = await readGolden(fixture, id);
    for (const { file, slug, node_threshold, edge_threshold } of entry.graph_files) {
      const read = await readViewerGraph(path.join(GOLDEN, fixture, 'expected', file));
      const ids = read.nodes.map(({ node_id }) => node_id);
      expect(new Set(ids).size).toBe(ids.length);
      const ours = viewerGraph(
        pruneGraph(graph, { nodeThreshold: node_threshold, edgeThreshold: edge_threshold }),
        { slug },
      );
      const referenceId = (id: string): string => {
        const error = OUR_ERROR.exec(id);
        const plain = error && `0_${error[1]!}_${error[2]!}`;
        return plain === null || read.nodes.some((node) => node.node_id === id) ? id : plain;
      };
      expect(ids).toEqual(ours.nodes.map(({ node_id }) => referenceId(node_id)));
      expect(read.links.map(({ source, target }) => [source, target])).toEqual(
        ours.links.map(({ source, target }) => [referenceId(source), referenceId(target)]),
      );
    }
  });
});

/** The graph with the features of layer 0 numbered from 0 at each position, so that errors have the ids of features. */
function withSmallNumbers(graph: Graph): Graph {
  const active_features = Int32Array.from(graph.active_features);
  const next = new Map<number, number>();
  for (let i = 0; i < active_features.length; i += FEATURE_FIELDS) {
    if (active_features[i] !== 0) continue;
    const position = active_features[i + 1]!;
    const number = next.get(position) ?? 0;
    active_features[i + 2] = number;
    next.set(position, number + 1);
  }
  return { ...graph, active_features };
}

it.each(goldenIds().filter(({ id }) => id.endsWith('-p2')))(
  'tells errors and features of one id apart by the order of links: $fixture $id',
  async ({ fixture, id }) => {
    const graph = withSmallNumbers((await readGolden(fixture, id)).graph);
    const truth = viewerGraph(pruneGraph(graph, { nodeThreshold: 1, edgeThreshold: 1 }), { slug: 'x' });
    const referenceId = (id: string): string => id.replace(OUR_ERROR, '0_$1_$2');
    const read = parseViewerGraph(
      'reference.json',
      JSON.stringify({
        ...truth,
        nodes: truth.nodes.map((node) => ({ ...node, node_id: referenceId(node.node_id) })),
        links: truth.links.map((link) => ({ ...link, source: referenceId(link.source) })),
      }),
    );
    const features = new Set(truth.nodes.map(({ node_id }) => node_id));
    const expected = (id: string): string => (features.has(referenceId(id)) ? id : referenceId(id));
    const renamed = read.nodes.filter(({ node_id }) => OUR_ERROR.test(node_id));
    expect(renamed.length).toBeGreaterThan(3);
    expect(read.nodes.map(({ node_id }) => node_id)).toEqual(
      truth.nodes.map(({ node_id }) => expected(node_id)),
    );
    expect(read.links.map(({ source }) => source)).toEqual(truth.links.map(({ source }) => expected(source)));
  },
);

describe('reading viewer files', () => {
  const open = (value: unknown): ViewerGraph => parseViewerGraph('graph.json', JSON.stringify(value));
  const node = {
    node_id: '1_5_0',
    layer: 1,
    ctx_idx: 0,
    feature_type: 'cross layer transcoder',
  };
  const minimal = { metadata: { prompt_tokens: ['a'] }, nodes: [node], links: [] };

  it('gives back what was written', () => {
    fc.assert(
      fc.property(arbitraryGraph(), (graph) => {
        const viewer = JSON.parse(
          JSON.stringify(viewerGraph(pruneGraph(graph), { slug: 'x' })),
        ) as ViewerGraph;
        expect(open(viewer)).toEqual(viewer);
      }),
      { numRuns: 30 },
    );
  });

  it('opens a file that says no more than nodes and links', () => {
    const { nodes, metadata, qParams } = open(minimal);
    expect(nodes[0]).toMatchObject({ layer: '1', influence: null, clerp: '', feature: -1 });
    expect(metadata.pruning_settings).toEqual({ node_threshold: 1, edge_threshold: 1 });
    expect(qParams.pinnedIds).toEqual([]);
  });

  it('takes pinned nodes also as an address writes them', () => {
    expect(open({ ...minimal, qParams: { pinnedIds: '1_5_0,E_2_0' } }).qParams.pinnedIds).toEqual([
      '1_5_0',
      'E_2_0',
    ]);
  });

  it.each([
    [
      'a link without a node',
      { ...minimal, links: [{ source: 'gone', target: '1_5_0', weight: 1 }] },
      /links\[0\]\.source/,
    ],
    ['two features of one id', { ...minimal, nodes: [node, node] }, /two nodes have the id "1_5_0"/],
    [
      'a weight that is no number',
      { ...minimal, links: [{ source: '1_5_0', target: '1_5_0', weight: null }] },
      /links\[0\]\.weight/,
    ],
    ['a position that no prompt has', { ...minimal, nodes: [{ ...node, ctx_idx: 1e9 }] }, /ctx_idx/],
    [
      'something else',
      {},
      /is JSON, but no graph of a viewer: it has no metadata and no nodes and no links$/,
    ],
    ['annotations', { pinnedIds: [], metadata: {} }, /it has no nodes and no links$/],
    ['a list', [], /the whole document: expected Object, found Array/],
  ])('refuses %s and says where', (_, value, message) => {
    expect(() => open(value)).toThrow(BadFileError);
    expect(() => open(value)).toThrow(message);
  });

  it('tells a missing file from a damaged one', async () => {
    await expect(readViewerGraph('/no/such/graph.json')).rejects.toThrow(NotFoundError);
  });
});

describe('annotations', () => {
  it('are kept in a file beside the graph and come back as they were', async () => {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'tracer-annotations-'));
    try {
      const file = annotationsPath(path.join(folder, 'dallas.safetensors'));
      expect(path.basename(file)).toBe('dallas.annotations.json');
      expect(await readAnnotations(file)).toBeNull();
      const annotations = {
        ...emptyAnnotations(),
        pinnedIds: ['1_5_0'],
        supernodes: [['capital', '1_5_0', '2_6_0']],
        clerps: { '1_5_0': '<b>capital</b>' },
        notes: 'two\nlines',
      };
      await writeAnnotations(file, annotations);
      expect(await readAnnotations(file)).toEqual(annotations);
      await writeFile(file, '{"pinnedIds":[3]}');
      await expect(readAnnotations(file)).rejects.toThrow(/pinnedIds\[0\]/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('go into qParams and labels of the viewer file, and are found there again', () => {
    const [graph] = fc.sample(arbitraryGraph(), 1);
    const viewer = viewerGraph(pruneGraph(graph!), { slug: 'x' });
    const id = viewer.nodes[0]!.node_id;
    const annotations = {
      ...emptyAnnotations(),
      pinnedIds: [id],
      supernodes: [['both', id]],
      clickedId: id,
      clerps: { [id]: 'mine' },
    };
    const annotated = withAnnotations(viewer, annotations);
    expect(annotated.nodes[0]!.clerp).toBe('mine');
    expect(annotationsOf(annotated)).toEqual({ ...annotations, clerps: {} });
  });

  it('come before labels of features, which come before those of the file and name features only', () => {
    const node = { feature_type: 'cross layer transcoder', clerp: 'of the file' } as const;
    const nodes = [
      { ...node, node_id: '2_7_3' },
      { ...node, node_id: '2_7_4' },
      { ...node, node_id: '2_8_4' },
      { ...node, node_id: '2_7_5', feature_type: 'logit' },
    ] as unknown as ViewerGraph['nodes'];
    const [graph] = fc.sample(arbitraryGraph(), 1);
    const viewer = { ...viewerGraph(pruneGraph(graph!), { slug: 'x' }), nodes };
    const annotations = { ...emptyAnnotations(), clerps: { '2_7_4': 'of the node' } };
    const annotated = withAnnotations(viewer, annotations, { '2_7': 'of the feature' });
    expect(annotated.nodes.map(({ clerp }) => clerp)).toEqual([
      'of the feature',
      'of the node',
      'of the file',
      'of the file',
    ]);
  });
});
