/** Circuits that the server suggests. */
import { describe, expect, it } from '@jest/globals';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { emptyAnnotations } from '../../src/graph/annotations.ts';
import { writeGraph } from '../../src/graph/files.ts';
import type { OpenedGraph } from '../../src/viewer/api.ts';
import { readGolden } from '../graph/golden.ts';
import { environment, scratchFolder } from '../support/scratch.ts';
import { answer, copyReferenceFiles, openedViewer, type OpenedViewer } from './opened.ts';

const SLUG = 'graph-plt-jumprelu-p2';

async function fill(folder: string): Promise<void> {
  await writeGraph(path.join(folder, `${SLUG}.safetensors`), (await readGolden('tiny-a', SLUG)).graph);
}

async function open(viewer: OpenedViewer, slug = SLUG, query = ''): Promise<OpenedGraph> {
  return answer<OpenedGraph>(await viewer.ask(`/api/graphs/${slug}${query}`));
}

describe('a suggestion', () => {
  it('has nodes that are drawn, whatever the thresholds, and writes nothing', async () => {
    await using opened = await openedViewer(fill, { suggest: true });
    for (const query of ['', '?node_threshold=0.3&edge_threshold=0.5']) {
      const { suggestion, graph, annotations } = await open(opened, SLUG, query);
      const ids = new Set(graph.nodes.map(({ node_id }) => node_id));
      expect(suggestion!.pinnedIds.length).toBeGreaterThan(5);
      expect(suggestion!.pinnedIds.filter((id) => !ids.has(id))).toEqual([]);
      expect(suggestion!.supernodes.length).toBeGreaterThan(1);
      expect(annotations).toEqual(emptyAnnotations());
    }
    expect(existsSync(path.join(opened.folder, `${SLUG}.annotations.json`))).toBe(false);
  });

  it('is made for files of other viewers, from the nodes that they hold', async () => {
    await using opened = await openedViewer((folder) => void copyReferenceFiles('tiny-b', folder), {
      suggest: true,
    });
    const { graphs } = answer<{ graphs: { slug: string }[] }>(await opened.ask('/api/graphs'));
    let made = 0;
    for (const { slug } of graphs) {
      const { suggestion, graph } = await open(opened, slug);
      const ids = new Set(graph.nodes.map(({ node_id }) => node_id));
      expect((suggestion?.pinnedIds ?? []).filter((id) => !ids.has(id))).toEqual([]);
      if (suggestion !== null) made++;
    }
    expect(made).toBe(graphs.length);
  });

  it('is not made for a graph that a person has annotated, be it with nothing', async () => {
    await using opened = await openedViewer(fill, { suggest: true });
    const file = path.join(opened.folder, `${SLUG}.annotations.json`);
    writeFileSync(file, '{}');
    expect((await open(opened)).suggestion).toBeNull();
    rmSync(file);
    expect((await open(opened)).suggestion).not.toBeNull();
  });

  it('is called by the labels of its features, also by those that were written since', async () => {
    using labels = scratchFolder();
    using _variables = environment({ TRACER_LABELS_DIR: labels.path });
    await using opened = await openedViewer(fill, { suggest: true });
    const { suggestion } = await open(opened);
    const single = suggestion!.supernodes.find((row) => row.length === 2)!;
    const [layer, feature] = single[1]!.split('_');
    const address = `/api/graphs/${SLUG}/labels/${layer}/${feature}`;
    await opened.send('PUT', address, { text: 'capitals of Texas' });
    const later = (await open(opened)).suggestion!;
    expect(later.supernodes.find((row) => row.includes(single[1]!))![0]).toBe('capitals of Texas');
  });
});
