import { describe, expect, it } from '@jest/globals';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openFeatureSource, type FeatureSourceRequest } from '../../src/engine/features/source.ts';
import type { EngineEvent } from '../../src/engine/request.ts';
import { BadFileError, NetworkError } from '../../src/errors.ts';
import { mergeLayer } from '../../src/features/fetched/merge-layer.ts';
import { HubPages } from '../../src/features/hub-pages.ts';
import { writeIndex, writeLayerPages } from '../../src/features/write-pages.ts';
import { resolveUri } from '../../src/hub/resolve.ts';
import { HubFixture, REPO } from '../hub/setup.ts';
import { environment, scratchFolder } from '../support/scratch.ts';
import { pageFiles, PAGES, somePage } from './pages.ts';

const SET = { kind: 'hub', repo: REPO } as const;

const partFolder = (hub: HubFixture, commit: string): string =>
  join(hub.cacheDir, 'models--owner--model/parts', commit, 'features/layer_0.bin');

describe('pages of a repository', () => {
  it('cost the index once, and of each page exactly its bytes', async () => {
    await using hub = await HubFixture.start();
    const files = await pageFiles();
    const commit = hub.server.commit(REPO, { ...files, 'config.yaml': 'x: 1' });
    const pages = new HubPages(SET, hub.client());
    expect(await pages.page(0, 2)).toEqual(PAGES[2]);
    expect(await pages.page(0, 2)).toEqual(PAGES[2]);
    expect(await pages.page(0, 1)).toEqual(PAGES[1]);
    expect(await pages.page(0, 4)).toBeNull();
    expect(await pages.page(7, 0)).toBeNull();
    const ranges = hub.server.seen(`hub GET /${REPO}/resolve/${commit}/features/layer_0.bin`);
    expect(ranges.map(({ range }) => range)).toEqual([
      expect.stringMatching(/^bytes=\d+-\d+$/),
      expect.stringMatching(/^bytes=\d+-\d+$/),
    ]);
    const bytesOf = ({ range }: { range: string | undefined }): number => {
      const [first, last] = range!.slice('bytes='.length).split('-').map(Number);
      return last! - first! + 1;
    };
    const kept = readdirSync(partFolder(hub, commit)).map(
      (name) => readFileSync(join(partFolder(hub, commit), name)).byteLength,
    );
    expect(ranges.map(bytesOf).sort()).toEqual(kept.sort());
    expect(kept.reduce((sum, bytes) => sum + bytes)).toBeLessThan(files['features/layer_0.bin']!.byteLength);
    expect(hub.server.seen('GET').filter(({ path }) => path.includes('index.json.gz'))).toHaveLength(1);
  });

  it('that were looked at are there without a network, and others are told to be missing', async () => {
    await using hub = await HubFixture.start();
    hub.server.commit(REPO, await pageFiles());
    await new HubPages(SET, hub.client()).page(0, 3);
    const before = hub.server.requests.length;
    const offline = new HubPages(SET, hub.client({ offline: true }));
    expect(await offline.page(0, 3)).toEqual(PAGES[3]);
    await expect(offline.page(0, 0)).rejects.toThrow(NetworkError);
    expect(hub.server.requests.length).toBe(before);
  });

  it('stay those of a commit when the branch moves on', async () => {
    await using hub = await HubFixture.start();
    const commit = hub.server.commit(REPO, await pageFiles());
    hub.server.commit(REPO, { 'README.md': 'no pages any more' });
    expect(await new HubPages({ ...SET, revision: commit }, hub.client()).page(0, 0)).toEqual(PAGES[0]);
    expect(await new HubPages(SET, hub.client()).page(0, 0)).toBeNull();
  });

  it('may lie in a subfolder, and come from a file that is in the cache as a whole', async () => {
    await using hub = await HubFixture.start();
    hub.server.commit(REPO, await pageFiles('sets/a/'));
    const reference = { ...SET, subfolder: 'sets/a' };
    await resolveUri(`hf://${REPO}/sets/a/features/layer_0.bin@main`, { client: hub.client() });
    const fetched = hub.server.seen('layer_0.bin').length;
    expect(await new HubPages(reference, hub.client()).page(0, 1)).toEqual(PAGES[1]);
    expect(hub.server.seen('layer_0.bin')).toHaveLength(fetched);
  });

  it('are refused when index or page are damaged', async () => {
    await using hub = await HubFixture.start();
    const files = await pageFiles();
    hub.server.commit(REPO, { ...files, 'features/index.json.gz': Buffer.from('no gzip') });
    await expect(new HubPages(SET, hub.client()).page(0, 0)).rejects.toThrow(BadFileError);
    hub.server.commit('owner/other', { ...files, 'features/layer_0.bin': Buffer.alloc(5000, 7) });
    const other = new HubPages({ kind: 'hub', repo: 'owner/other' }, hub.client());
    await expect(other.page(0, 0)).rejects.toThrow(BadFileError);
  });
});

describe('a source of features', () => {
  const open = (hub: HubFixture, request: Partial<FeatureSourceRequest>) =>
    openFeatureSource({ scan: REPO, client: hub.client(), ...request });

  it('looks into the named folder first, then at the set, then at the repository of the scan', async () => {
    await using hub = await HubFixture.start();
    using scratch = scratchFolder();
    const own = { ...somePage(0), top_logits: ["the set's"] };
    const given = { ...somePage(1), top_logits: ['given'] };
    hub.server.commit(REPO, await pageFiles());
    const setFolder = join(scratch.path, 'set');
    mkdirSync(join(setFolder, 'features'), { recursive: true });
    const layer = await writeLayerPages(join(setFolder, 'features'), 0, [own, own, own]);
    await writeIndex(join(setFolder, 'features'), { 0: layer });
    const folder = join(scratch.path, 'given');
    mkdirSync(folder);
    writeFileSync(join(folder, '2.json'), JSON.stringify(given)); // layer 0, feature 1
    const set = { name: 'a set', kind: 'folder', folder: setFolder } as const;
    const source = await open(hub, { folder, set });
    expect((await source.page(0, 1))?.top_logits).toEqual(['given']);
    expect((await source.page(0, 2))?.top_logits).toEqual(["the set's"]);
    expect(hub.server.requests).toHaveLength(0);
    expect(await source.page(0, 3)).toEqual(PAGES[3]);
    expect(source.source).toContain(REPO);
  });

  it('goes on without a page that cannot be fetched, and says why once', async () => {
    await using hub = await HubFixture.start();
    using scratch = scratchFolder();
    using _labels = environment({ TRACER_LABELS_DIR: scratch.path });
    hub.server.commit(REPO, await pageFiles());
    const events: EngineEvent[] = [];
    const source = await open(hub, { onProgress: (event) => events.push(event) });
    hub.server.ignoreRanges = true;
    expect(await source.page(0, 3)).toBeNull();
    expect(await source.label(0, 3)).toBeNull();
    expect(source.problem).toContain('does not send parts');
    expect(events.filter(({ kind }) => kind === 'warning')).toHaveLength(1);
    hub.server.ignoreRanges = false;
    expect(await source.page(0, 3)).toEqual(PAGES[3]);
  });

  it('comes after what was fetched from Neuronpedia, which is there without a network', async () => {
    await using hub = await HubFixture.start();
    using scratch = scratchFolder();
    using _folders = environment({ TRACER_LABELS_DIR: scratch.path, TRACER_NEURONPEDIA_DIR: scratch.path });
    hub.server.commit(REPO, await pageFiles());
    const source = await open(hub, {});
    const explanation = { text: 'theirs', type: null, model: null, author: null, score: null };
    const origin = { site: 'neuronpedia', source: 'm/0-s', date: '2026-11-30', note: null } as const;
    const page = { ...somePage(1), fetched: { ...origin, explanations: [explanation] } };
    async function* fetched() {
      yield await Promise.resolve({ feature: 1, page });
    }
    await mergeLayer(source.fetched.name, fetched(), { layer: 0, replaces: false });
    expect(await source.page(0, 1)).toEqual(page);
    expect(await source.label(0, 1)).toMatchObject({ text: 'theirs', origin: 'neuronpedia' });
    expect(await source.labels([[0, 1]])).toEqual({ '0_1': 'theirs' });
    expect(hub.server.requests).toEqual([]);
    expect(await source.page(0, 2)).toEqual(PAGES[2]);
  });

  it('shows what a person wrote, else the automatic label; lists never ask the network', async () => {
    await using hub = await HubFixture.start();
    using scratch = scratchFolder();
    using _labels = environment({ TRACER_LABELS_DIR: scratch.path });
    hub.server.commit(REPO, await pageFiles());
    const source = await open(hub, {});
    expect(await source.label(0, 1)).toEqual({ text: 'the word "t1"', origin: 'automatic', share: 0.9 });
    expect(await source.setLabel(0, 1, ' mine ')).toEqual({ text: 'mine', origin: 'edited', share: null });
    const before = hub.server.requests.length;
    expect(
      await source.labels([
        [0, 1],
        [0, 2],
      ]),
    ).toEqual({ '0_1': 'mine' });
    expect(hub.server.requests).toHaveLength(before);
    expect(await source.setLabel(0, 1, '')).toMatchObject({ origin: 'automatic' });
    expect(await source.labels()).toEqual({});
  });

  it('that is cached survives the loss of a part: it is fetched again', async () => {
    await using hub = await HubFixture.start();
    const commit = hub.server.commit(REPO, await pageFiles());
    await new HubPages(SET, hub.client()).page(0, 0);
    const [part] = readdirSync(partFolder(hub, commit));
    writeFileSync(join(partFolder(hub, commit), part!), 'cut');
    expect(await new HubPages(SET, hub.client()).page(0, 0)).toEqual(PAGES[0]);
    rmSync(partFolder(hub, commit), { recursive: true });
    expect(await new HubPages(SET, hub.client()).page(0, 0)).toEqual(PAGES[0]);
  });
});
