import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { writeGraph } from '../../src/graph/files.ts';
import { subgraphScores } from '../../src/graph/scores.ts';
import type { ViewerGraph } from '../../src/graph/neuronpedia.ts';
import type { GraphEntry, GraphList, OpenedGraph, SubgraphScores } from '../../src/viewer/api.ts';
import { readGolden, readExpected, toleranceOf, type GoldenGraph } from '../graph/golden.ts';
import { FIXTURES, goldenPath } from '../support/golden.ts';
import {
  answer,
  copyReferenceFiles,
  errorCode,
  NO_ANNOTATIONS,
  openedViewer,
  type OpenedViewer,
} from './opened.ts';

const SLUG = 'graph-plt-jumprelu-p2';

function list({ text }: { text: string }): Map<string, GraphEntry> {
  return new Map((JSON.parse(text) as GraphList).graphs.map((entry) => [entry.slug, entry]));
}

describe.each(FIXTURES)('files of the reference (%s)', (fixture) => {
  it('are all listed with what they are about, and all open', async () => {
    let slugs: string[] = [];
    await using opened = await openedViewer((folder) => {
      slugs = copyReferenceFiles(fixture, folder);
    });
    const graphs = list(await opened.ask('/api/graphs'));
    expect([...graphs.keys()].sort()).toEqual(slugs.sort());
    for (const slug of slugs) {
      const file = goldenPath(fixture, 'expected', 'graph-files', `${slug}.json`);
      const written = JSON.parse(readFileSync(file, 'utf8')) as ViewerGraph;
      const { prompt, scan } = written.metadata;
      expect(graphs.get(slug)).toMatchObject({ prompt, scan, kind: 'viewer', problem: null });
      const { kind, graph, scores } = answer<OpenedGraph>(await opened.ask(`/api/graphs/${slug}`));
      expect({ kind, scores }).toEqual({ kind: 'viewer', scores: null });
      expect(graph.nodes).toHaveLength(written.nodes.length);
      expect(graph.links.map(({ weight }) => weight)).toEqual(written.links.map(({ weight }) => weight));
      const ids = new Set(graph.nodes.map(({ node_id }) => node_id));
      expect(ids.size).toBe(graph.nodes.length);
      expect(graph.links.every(({ source, target }) => ids.has(source) && ids.has(target))).toBe(true);
    }
  });
});

describe('a graph file', () => {
  let opened: OpenedViewer;
  let golden: GoldenGraph;
  beforeAll(async () => {
    golden = await readGolden('tiny-a', SLUG);
    opened = await openedViewer((folder) =>
      writeGraph(path.join(folder, `${SLUG}.safetensors`), golden.graph),
    );
  });
  afterAll(async () => {
    await opened[Symbol.asyncDispose]();
  });

  it('is pruned as asked, to what the reference keeps', async () => {
    for (const { file, node_threshold, edge_threshold } of golden.entry.graph_files) {
      const query = `node_threshold=${node_threshold}&edge_threshold=${edge_threshold}`;
      const { graph } = answer<OpenedGraph>(await opened.ask(`/api/graphs/${SLUG}?${query}`));
      const expected = readExpected('tiny-a', `graph-files/${path.basename(file)}`) as ViewerGraph;
      expect(graph.nodes.map(({ jsNodeId, ctx_idx }) => [jsNodeId, ctx_idx])).toEqual(
        expected.nodes.map(({ jsNodeId, ctx_idx }) => [jsNodeId, ctx_idx]),
      );
      expect(graph.links.map(({ weight }) => weight)).toEqual(expected.links.map(({ weight }) => weight));
      expect(graph.metadata.node_threshold).toBe(node_threshold);
    }
    expect(golden.entry.graph_files.length).toBeGreaterThan(1);
  });

  it('has the scores of the reference, and those of pinned nodes', async () => {
    const tolerance = toleranceOf('tiny-a').probabilities_influence_scores;
    const { graph, scores } = answer<OpenedGraph>(
      await opened.ask(`/api/graphs/${SLUG}?node_threshold=1&edge_threshold=1`),
    );
    expect(Math.abs(scores!.replacement - golden.entry.replacement_score)).toBeLessThanOrEqual(tolerance);
    expect(Math.abs(scores!.completeness - golden.entry.completeness_score)).toBeLessThanOrEqual(tolerance);
    const features = graph.nodes.filter(({ activation }) => activation !== null);
    const pinnedIds = features.slice(0, 5).map(({ node_id }) => node_id);
    const pinned = answer<SubgraphScores>(
      await opened.send('POST', `/api/graphs/${SLUG}/scores`, { pinnedIds: [...pinnedIds, 'nothing'] }),
    );
    expect(pinned).toEqual(subgraphScores(golden.graph, [0, 1, 2, 3, 4]));
    const none = answer<SubgraphScores>(
      await opened.send('POST', `/api/graphs/${SLUG}/scores`, { pinnedIds: [] }),
    );
    expect(none.replacement).toBeLessThan(scores!.replacement);
  });

  it('is one graph with the viewer file beside it, and the whole one of the two', async () => {
    const twin = path.join(opened.folder, `${SLUG}.json`);
    writeFileSync(twin, readFileSync(goldenPath('tiny-a', 'expected', 'graph-files', `${SLUG}.json`)));
    const graphs = list(await opened.ask('/api/graphs'));
    expect([...graphs.values()].map(({ slug, kind }) => [slug, kind])).toEqual([[SLUG, 'graph']]);
    rmSync(twin);
  });
});

describe('scores of pinned nodes', () => {
  it('need a graph file: a viewer file has lost what they are computed from', async () => {
    await using opened = await openedViewer();
    const reply = await opened.send('POST', `/api/graphs/${SLUG}/scores`, { pinnedIds: [] });
    expect(reply.status).toBe(404);
    expect(errorCode(reply)).toBe('no_scores');
  });
});

describe('the list of graphs', () => {
  it('holds what graph-metadata.json does not know, and nothing that is no graph', async () => {
    await using opened = await openedViewer((folder) => {
      copyReferenceFiles('tiny-a', folder);
      const added = { ...(readExpected('tiny-a', `graph-files/${SLUG}.json`) as object) };
      writeFileSync(path.join(folder, 'mine, really.json'), JSON.stringify(added));
      writeFileSync(path.join(folder, 'package.json'), '{"name":"x"}');
      writeFileSync(path.join(folder, '.hidden.json'), JSON.stringify(added));
      writeFileSync(path.join(folder, 'notes.txt'), 'x');
      mkdirSync(path.join(folder, 'folder.json'));
      execFileSync('mkfifo', [path.join(folder, 'pipe.json')]);
      const model = goldenPath('tiny-a', 'model', 'model.safetensors');
      writeFileSync(path.join(folder, 'model.safetensors'), readFileSync(model));
    });
    const graphs = list(await opened.ask('/api/graphs'));
    expect(graphs.get('mine, really')).toMatchObject({ kind: 'viewer', problem: null });
    for (const name of ['package', '.hidden', 'notes', 'folder', 'pipe', 'model', 'graph-metadata']) {
      expect([...graphs.keys()]).not.toContain(name);
    }
  });

  it('says what is wrong with a damaged file, and the others open', async () => {
    const good = readFileSync(goldenPath('tiny-a', 'expected', 'graph-files', `${SLUG}.json`));
    await using opened = await openedViewer((folder) => {
      writeFileSync(path.join(folder, 'good.json'), good);
      writeFileSync(path.join(folder, 'cut.json'), good.subarray(0, good.length / 2));
      writeFileSync(path.join(folder, 'cut.safetensors'), Buffer.alloc(20, 0xff));
      writeFileSync(
        path.join(folder, 'damaged.json'),
        JSON.stringify({ metadata: {}, nodes: [1], links: [2] }),
      );
      writeFileSync(path.join(folder, 'graph-metadata.json'), '{"graphs":');
    });
    const graphs = list(await opened.ask('/api/graphs'));
    expect(graphs.get('good')?.problem).toBeNull();
    expect(graphs.get('cut')?.problem).toMatch(/cut\.(json|safetensors)/);
    expect((await opened.ask('/api/graphs/good')).status).toBe(200);
    for (const slug of ['cut', 'damaged']) {
      const reply = await opened.ask(`/api/graphs/${slug}`);
      expect(reply.status).toBe(422);
      expect(reply.text).toMatch(new RegExp(`${slug}\\.`));
    }
  });

  it('follows the folder: what comes, changes and goes', async () => {
    await using opened = await openedViewer(() => undefined);
    const file = path.join(opened.folder, 'new.json');
    expect(list(await opened.ask('/api/graphs')).size).toBe(0);
    expect((await opened.ask('/api/graphs/new')).status).toBe(404);
    for (const slug of [SLUG, 'graph-plt-topk-p2']) {
      const written = readFileSync(goldenPath('tiny-a', 'expected', 'graph-files', `${slug}.json`), 'utf8');
      writeFileSync(file, written);
      const { graph } = answer<OpenedGraph>(await opened.ask('/api/graphs/new'));
      expect(graph.links).toHaveLength((JSON.parse(written) as ViewerGraph).links.length);
    }
    rmSync(file);
    expect((await opened.ask('/api/graphs/new')).status).toBe(404);
    symlinkSync('/etc/passwd', file);
    expect((await opened.ask('/api/graphs/new')).status).toBe(422);
  });

  it('tells graphs of one name apart, and serves files that were named', async () => {
    const from = (fixture: 'tiny-a' | 'tiny-b') =>
      goldenPath(fixture, 'expected', 'graph-files', `${SLUG}.json`);
    await using opened = await openedViewer(() => undefined, { paths: [from('tiny-a'), from('tiny-b')] });
    const graphs = list(await opened.ask('/api/graphs'));
    expect([...graphs.values()].map(({ slug, scan }) => [slug, scan])).toEqual([
      [SLUG, 'golden-tiny-a/plt-jumprelu'],
      [`${SLUG}-2`, 'golden-tiny-b/plt-jumprelu'],
    ]);
  });

  it('has the names of the files, in every script, and answers to them', async () => {
    const names = ['苹果', '香蕉', 'किताब', 'कीताब', 'a b', 'a-b', '🍎', '🍌', '100%', 'it\'s "new"'];
    await using opened = await openedViewer((folder) => {
      const graph = readFileSync(goldenPath('tiny-a', 'expected', 'graph-files', `${SLUG}.json`));
      for (const name of names) writeFileSync(path.join(folder, `${name}.json`), graph);
    });
    const graphs = list(await opened.ask('/api/graphs'));
    expect([...graphs.keys()].sort()).toEqual([...names].sort());
    for (const name of names) {
      const address = `/api/graphs/${encodeURIComponent(name)}`;
      expect((await opened.ask(address)).status).toBe(200);
      const { headers } = await opened.ask(`${address}/export.html`);
      const [, plain, extended] =
        /^attachment; filename="([\w.-]+)"(?:; filename\*=UTF-8''([\w.!#$&+^`|~%-]+))?$/.exec(
          headers['content-disposition']!,
        )!;
      expect(decodeURIComponent(extended ?? plain!)).toBe(`${name}.html`);
    }
  });

  it('is not made of places that are not there, or are no graphs', async () => {
    const open = (place: string) => openedViewer(() => undefined, { paths: [place] });
    await expect(open('/nowhere/graphs')).rejects.toMatchObject({ exitCode: 3, code: 'file_not_found' });
    const model = goldenPath('tiny-a', 'model', 'model.safetensors');
    await expect(open(model)).rejects.toMatchObject({ exitCode: 4, code: 'not_a_graph' });
  });
});

describe('ids that two nodes of a reference file share', () => {
  /** A file of the reference in which an error is called what a feature of layer 0 is called. */
  function sharedIds(): { graph: ViewerGraph; id: string; renamed: string } {
    for (const name of readdirSync(goldenPath('tiny-a', 'expected', 'graph-files'))) {
      const { nodes = [] } = readExpected('tiny-a', `graph-files/${name}`) as ViewerGraph;
      for (const error of nodes.filter(({ feature_type }) => feature_type === 'mlp reconstruction error')) {
        const feature = nodes.find(
          ({ layer, ctx_idx, activation }) =>
            layer === '0' && ctx_idx === error.ctx_idx && activation !== null,
        );
        if (feature === undefined) continue;
        const text = JSON.stringify(readExpected('tiny-a', `graph-files/${name}`));
        const graph = JSON.parse(
          text.replaceAll(`"${feature.node_id}"`, `"${error.node_id}"`),
        ) as ViewerGraph;
        return { graph, id: error.node_id, renamed: `${error.layer}_error_${error.ctx_idx}` };
      }
    }
    throw new Error('no file of the reference has a feature of layer 0 and an error at one position');
  }

  it('are told apart: each link keeps its weight and has an end of its own', async () => {
    const { graph, id, renamed } = sharedIds();
    await using opened = await openedViewer((folder) =>
      writeFileSync(path.join(folder, 'shared.json'), JSON.stringify(graph)),
    );
    const { graph: read } = answer<OpenedGraph>(await opened.ask('/api/graphs/shared'));
    const ids = read.nodes.map(({ node_id }) => node_id);
    expect(new Set(ids).size).toBe(graph.nodes.length);
    expect(ids).toEqual(expect.arrayContaining([id, renamed]));
    expect(read.links.map(({ weight }) => weight)).toEqual(graph.links.map(({ weight }) => weight));
    expect(read.links.some(({ source }) => source === renamed)).toBe(true);
    expect(read.links.some(({ target }) => target === renamed)).toBe(false); // nothing acts on an error
  });
});

describe('annotations', () => {
  const { nodes: written } = readExpected('tiny-a', `graph-files/${SLUG}.json`) as ViewerGraph;
  const FEATURE = written.find(({ activation }) => activation !== null)!.node_id;
  const ANNOTATIONS = {
    pinnedIds: [FEATURE, 'E_546_9'],
    supernodes: [['Texas', FEATURE, 'E_546_9']],
    clickedId: FEATURE,
    sg_pos: `${FEATURE}:0.25,0.5`,
    clerps: { [FEATURE]: 'says "Dallas" & co' },
    notes: 'first look\nsecond look',
  };

  it('are kept beside the graph, come back after a restart, and leave the graph as it is', async () => {
    await using opened = await openedViewer();
    const file = path.join(opened.folder, `${SLUG}.json`);
    const before = readFileSync(file);
    const put = await opened.send('PUT', `/api/graphs/${SLUG}/annotations`, ANNOTATIONS);
    expect(answer(put)).toEqual(ANNOTATIONS);
    expect(readFileSync(file).equals(before)).toBe(true);
    const kept = readFileSync(path.join(opened.folder, `${SLUG}.annotations.json`), 'utf8');
    expect(JSON.parse(kept)).toEqual(ANNOTATIONS);
    await using again = await openedViewer(() => undefined, { paths: [opened.folder] });
    const { annotations } = answer<OpenedGraph>(await again.ask(`/api/graphs/${SLUG}`));
    expect(annotations).toEqual(ANNOTATIONS);
    expect([...list(await again.ask('/api/graphs')).keys()]).not.toContain(`${SLUG}.annotations`);
  });

  it('go out with the graph, in the place where other viewers look for them', async () => {
    await using opened = await openedViewer();
    await opened.send('PUT', `/api/graphs/${SLUG}/annotations`, ANNOTATIONS);
    const reply = await opened.ask(`/api/graphs/${SLUG}/export.json`);
    expect(reply.headers['content-disposition']).toBe(`attachment; filename="${SLUG}.json"`);
    const { qParams, nodes, links } = answer<ViewerGraph>(reply);
    const { pinnedIds, supernodes, clickedId, sg_pos } = ANNOTATIONS;
    expect(qParams).toEqual({ pinnedIds, supernodes, clickedId, sg_pos: '', tracer_positions: sg_pos, linkType: 'both' }); // prettier-ignore
    const labelled = nodes.find(({ node_id }) => node_id === FEATURE);
    expect(labelled!.clerp).toBe(ANNOTATIONS.clerps[FEATURE]);
    const original = readExpected('tiny-a', `graph-files/${SLUG}.json`) as ViewerGraph;
    expect(links.map(({ weight }) => weight)).toEqual(original.links.map(({ weight }) => weight));
  });

  it('start from those that a file brings along', async () => {
    const qParams = {
      pinnedIds: ['E_546_9'],
      supernodes: [],
      linkType: 'both',
      clickedId: 'E_546_9',
      sg_pos: '',
    };
    const graph = { ...(readExpected('tiny-a', `graph-files/${SLUG}.json`) as ViewerGraph), qParams };
    await using opened = await openedViewer((folder) =>
      writeFileSync(path.join(folder, 'mine.json'), JSON.stringify(graph)),
    );
    const { annotations } = answer<OpenedGraph>(await opened.ask('/api/graphs/mine'));
    expect(annotations).toMatchObject({ pinnedIds: ['E_546_9'], clickedId: 'E_546_9' });
  });

  it('are never written through a link, to a graph or out of the folder', async () => {
    await using opened = await openedViewer();
    const graph = path.join(opened.folder, `${SLUG}.json`);
    const before = readFileSync(graph);
    const link = path.join(opened.folder, `${SLUG}.annotations.json`);
    for (const goal of [`${SLUG}.json`, '/tmp/tracer-annotations-outside.json']) {
      symlinkSync(goal, link);
      const put = await opened.send('PUT', `/api/graphs/${SLUG}/annotations`, NO_ANNOTATIONS);
      expect(put.status).toBe(422);
      expect(readFileSync(graph).equals(before)).toBe(true);
      rmSync(link);
    }
  });

  it('that are damaged are told of, and not written over in silence', async () => {
    await using opened = await openedViewer();
    writeFileSync(path.join(opened.folder, `${SLUG}.annotations.json`), '{"pinnedIds":3}');
    const reply = await opened.ask(`/api/graphs/${SLUG}`);
    expect(reply.status).toBe(422);
    expect(reply.text).toMatch(/annotations\.json.*pinnedIds/);
  });
});
