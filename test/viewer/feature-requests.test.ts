/** Which repositories the server asks for pages of features: never one that only a graph's file speaks of. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { appendFileSync, cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pairingNumber } from '../../src/features/page-source.ts';
import { writeGraph } from '../../src/graph/files.ts';
import type { Graph, SourceReference } from '../../src/graph/graph.ts';
import type { ViewerGraph } from '../../src/graph/neuronpedia.ts';
import type { FeatureDetail, OpenedGraph } from '../../src/viewer/api.ts';
import type { ServeOptions } from '../../src/viewer/server.ts';
import { PAGES, pageFiles } from '../features/pages.ts';
import { readExpected, readGolden } from '../graph/golden.ts';
import { readPreset } from '../../src/hub/presets.ts';
import { HubFixture, REPO } from '../hub/setup.ts';
import { goldenPath } from '../support/golden.ts';
import { environment } from '../support/scratch.ts';
import { answer, openedViewer, type OpenedViewer } from './opened.ts';

const SLUG = 'graph-plt-jumprelu-p2';
const OTHER_REPO = 'golden-tiny-a/plt-jumprelu';
const PRESET_REPO = 'mwhanna/gemma-scope-transcoders';
const MODEL = goldenPath('tiny-a', 'model');
const SET = goldenPath('tiny-a', 'transcoders', 'plt-jumprelu');
const UNKNOWN_COMMIT = '0123456789'.repeat(4);
/** Of which the repositories have a page. */
const PLACE = '0/2';

/** Of the preset for the repository: the commit that it is pinned to. */
function presetRevision(): string {
  const { reference } = readPreset('transcoders', 'gemma');
  if (reference.kind !== 'hub' || !reference.revision) throw new Error('the preset is not pinned');
  return reference.revision;
}

let hub: HubFixture;
let commit: string;
let variables: Disposable;
beforeEach(async () => {
  hub = await HubFixture.start();
  const pages = await pageFiles();
  commit = hub.server.commit(REPO, pages);
  hub.server.commit(OTHER_REPO, pages);
  hub.server.commit(PRESET_REPO, pages, { revisions: [presetRevision()] });
  const labels = path.join(hub.root, 'labels');
  variables = environment({
    HF_HUB_OFFLINE: undefined,
    HF_TOKEN: undefined,
    TRACER_LABELS_DIR: labels,
    ...hub.environment(),
  });
});
afterEach(async () => {
  variables[Symbol.dispose]();
  await hub[Symbol.asyncDispose]();
});

function viewerFile(scan: string) {
  const viewer = readExpected('tiny-a', `graph-files/${SLUG}.json`) as ViewerGraph;
  const metadata = { ...viewer.metadata, scan };
  return (folder: string) =>
    writeFileSync(path.join(folder, `${SLUG}.json`), JSON.stringify({ ...viewer, metadata }));
}

function graphFile(scan: string, set: Pick<SourceReference, 'name' | 'revision'>) {
  return async (folder: string): Promise<void> => {
    const { graph } = await readGolden('tiny-a', SLUG);
    const transcoders = { ...set, config_sha256: null };
    const recorded: Graph = { ...graph, provenance: { ...graph.provenance, scan, transcoders } };
    await writeGraph(path.join(folder, `${SLUG}.safetensors`), recorded);
  };
}

const online = (
  fill: (folder: string) => void | Promise<void>,
  common: ServeOptions['common'] = {},
): Promise<OpenedViewer> => openedViewer(fill, { common: { device: 'wasm', ...common } });

/** Everything that shows a feature. */
async function look(opened: OpenedViewer): Promise<FeatureDetail> {
  for (const address of ['/api/graphs', `/api/graphs/${SLUG}`, `/api/graphs/${SLUG}/export.html`]) {
    expect((await opened.ask(address)).status).toBe(200);
  }
  await opened.send('PUT', `/api/graphs/${SLUG}/labels/${PLACE}`, { text: 'mine' });
  return answer<FeatureDetail>(await opened.ask(`/api/graphs/${SLUG}/features/${PLACE}`));
}

describe('no request leaves the machine', () => {
  it.each([REPO, REPO.replace('/', '-'), `${REPO}//sub@main`, `hf://${REPO}`, OTHER_REPO, 'gemma/../x'])(
    'for a viewer file whose scan looks like a repository: %s',
    async (scan) => {
      await using opened = await online(viewerFile(scan));
      expect(await look(opened)).toMatchObject({ page: null, label: { text: 'mine', origin: 'edited' } });
      expect(hub.server.requests).toEqual([]);
    },
  );

  it.each([
    ['without a commit', null],
    ['with a branch in its place', 'main'],
    ['with a part of a commit', UNKNOWN_COMMIT.slice(0, 12)],
  ])('for a graph file that names a repository %s', async (_, revision) => {
    await using opened = await online(graphFile(REPO, { name: REPO, revision }));
    expect((await look(opened)).page).toBeNull();
    expect(hub.server.requests).toEqual([]);
  });

  it('and no folder is read, for a graph file that names a folder, even with a commit', async () => {
    const folder = path.join(hub.root, 'private', 'features');
    mkdirSync(folder, { recursive: true });
    const file = path.join(folder, `${pairingNumber(0, 2)}.json`);
    writeFileSync(file, JSON.stringify(PAGES[2]));
    const set = { name: path.dirname(folder), revision: UNKNOWN_COMMIT };
    await using opened = await online(graphFile('none', set));
    expect((await look(opened)).page).toBeNull();
    expect(hub.server.requests).toEqual([]);
  });

  it('for a local set that the server was given, whatever its scan looks like', async () => {
    const transcoders = path.join(hub.root, 'set');
    cpSync(SET, transcoders, { recursive: true });
    appendFileSync(path.join(transcoders, 'config.yaml'), `scan: ${REPO}\n`);
    await using opened = await online(viewerFile(REPO), { model: MODEL, transcoders });
    expect(opened.viewer.why).toBeNull();
    expect(answer<OpenedGraph>(await opened.ask(`/api/graphs/${SLUG}`)).can_steer).toBe(true);
    expect((await look(opened)).page).toBeNull();
    expect(hub.server.requests).toEqual([]);
  });
});

describe('pages are fetched', () => {
  it('of the repository of a preset, as a scan names it', async () => {
    for (const scan of [PRESET_REPO, PRESET_REPO.replace('/', '-')]) {
      await using opened = await online(viewerFile(scan));
      expect((await look(opened)).page).toEqual(PAGES[2]);
    }
    expect(new Set(hub.server.requests.map(({ path: asked }) => asked.includes(REPO)))).toEqual(
      new Set([false]),
    );
  });

  it('of the commit that a graph file has recorded, and of no other repository', async () => {
    const set = { name: REPO, revision: commit };
    hub.server.commit(REPO, { 'README.md': 'no pages any more' });
    await using opened = await online(graphFile(OTHER_REPO, set));
    expect((await look(opened)).page).toEqual(PAGES[2]);
    expect(hub.server.seen(`/${REPO}/resolve/${commit}/features/layer_0.bin`)).not.toEqual([]);
    expect(hub.server.seen(OTHER_REPO)).toEqual([]);
  });

  it('of the set that the server was given, for the graphs that are of it', async () => {
    const weights = readdirSync(SET).map((name) => [name, readFileSync(path.join(SET, name))] as const);
    hub.server.commit(REPO, { ...Object.fromEntries(weights), ...(await pageFiles()) });
    const given = { model: MODEL, transcoders: REPO };
    await using opened = await online(viewerFile(REPO.replace('/', '-')), given);
    expect((await look(opened)).page).toEqual(PAGES[2]);
    await using foreign = await online(viewerFile(OTHER_REPO), given);
    expect((await look(foreign)).page).toBeNull();
    expect(hub.server.seen(OTHER_REPO)).toEqual([]);
  });
});
