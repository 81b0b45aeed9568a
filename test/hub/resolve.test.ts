import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { NetworkError, NotFoundError } from '../../src/errors.ts';
import { type DownloadProgress, resolveFiles, resolveUri, resolveUris } from '../../src/hub/resolve.ts';
import { errorOf, HubFixture, REPO, sampleBytes } from './setup.ts';

const FILES = {
  'config.json': '{"d_model": 4}',
  'model.safetensors': sampleBytes(300_000),
  'README.md': '# a model',
  'sets/a/config.yaml': 'model_kind: transcoder_set',
  'sets/a/layer 0 #1.safetensors': sampleBytes(50_000, 2),
};
const ALL = { kind: 'hub', repo: REPO } as const;
const everything = (): boolean => true;
const folderOf = (hub: HubFixture): string => join(hub.cacheDir, 'models--owner--model');
const statuses = (files: readonly { path: string; status: string }[]): Record<string, string> =>
  Object.fromEntries(files.map(({ path, status }) => [path, status]));

describe('files of a repository', () => {
  it('are fetched into the layout of the Hugging Face cache', async () => {
    await using hub = await HubFixture.start();
    const commit = hub.server.commit(REPO, FILES);
    const found = await resolveFiles(ALL, { wanted: everything, client: hub.client() });
    expect(found.source).toEqual({ kind: 'hub', repo: REPO, revision: 'main', commit });
    for (const [path, content] of Object.entries(FILES)) {
      expect(readFileSync(found.path(path)).equals(Buffer.from(content))).toBe(true);
      const link = join(folderOf(hub), 'snapshots', commit, path);
      const up = '../'.repeat(path.split('/').length + 1);
      expect(readlinkSync(link)).toMatch(new RegExp(`^${up}blobs/[0-9a-f]{40,64}$`));
    }
    expect(readFileSync(join(folderOf(hub), 'refs/main'), 'utf8')).toBe(commit);
    // Nothing but blobs is left among the blobs, and no lock is held any more.
    expect(
      readdirSync(join(folderOf(hub), 'blobs')).filter((name) => !/^[0-9a-f]{40,64}$/.test(name)),
    ).toEqual([]);
    expect(readdirSync(join(hub.cacheDir, '.locks/models--owner--model'))).toEqual([]);
  });

  it('are fetched only as far as they are wanted, by pattern or by test', async () => {
    await using hub = await HubFixture.start();
    hub.server.commit(REPO, FILES);
    const byPattern = await resolveFiles(ALL, { wanted: ['*.json', 'sets/*.yaml'], client: hub.client() });
    expect(statuses(byPattern.files)).toEqual({
      'config.json': 'downloaded',
      'sets/a/config.yaml': 'downloaded',
    });
    const byTest = await resolveFiles(ALL, {
      wanted: (path) => path.endsWith('.yaml'),
      client: hub.client(),
    });
    expect(statuses(byTest.files)).toEqual({ 'sets/a/config.yaml': 'cached' });
    expect(() => byTest.path('config.jsn')).toThrow(NotFoundError);
  });

  it('of a subfolder have paths inside it', async () => {
    await using hub = await HubFixture.start();
    hub.server.commit(REPO, FILES);
    const found = await resolveFiles(
      { ...ALL, subfolder: 'sets/a' },
      { wanted: everything, client: hub.client() },
    );
    expect(found.files.map(({ path }) => path)).toEqual(['config.yaml', 'layer 0 #1.safetensors']);
    expect(readFileSync(found.path('config.yaml'), 'utf8')).toBe(FILES['sets/a/config.yaml']);
    const wrong = resolveFiles({ ...ALL, subfolder: 'sets/b' }, { wanted: everything, client: hub.client() });
    expect(await errorOf(wrong)).toMatchObject({
      code: 'folder_not_found',
      hint: "Did you mean 'owner/model//sets/a'?",
    });
  });

  it('are found again without being fetched again', async () => {
    await using hub = await HubFixture.start();
    hub.server.commit(REPO, FILES);
    await resolveFiles(ALL, { wanted: everything, client: hub.client() });
    const before = hub.server.seen('/resolve/').length;
    const again = await resolveFiles(ALL, { wanted: everything, client: hub.client() });
    expect(new Set(again.files.map(({ status }) => status))).toEqual(new Set(['cached']));
    expect(hub.server.seen('/resolve/').length).toBe(before);
  });

  it('that another commit shares are linked, not fetched', async () => {
    await using hub = await HubFixture.start();
    hub.server.commit(REPO, FILES);
    await resolveFiles(ALL, { wanted: everything, client: hub.client() });
    const commit = hub.server.commit(REPO, { ...FILES, 'config.json': '{"d_model": 8}' });
    const before = hub.server.seen('/resolve/').length;
    const found = await resolveFiles(ALL, { wanted: everything, client: hub.client() });
    expect(statuses(found.files)).toMatchObject({
      'config.json': 'downloaded',
      'model.safetensors': 'cached',
    });
    expect(hub.server.seen('/resolve/').length).toBe(before + 1);
    expect(found.path('model.safetensors')).toContain(commit);
    expect(readFileSync(found.path('config.json'), 'utf8')).toBe('{"d_model": 8}');
  });

  it('that were cut short on disk are fetched again', async () => {
    await using hub = await HubFixture.start();
    hub.server.commit(REPO, FILES);
    const first = await resolveFiles(ALL, { wanted: everything, client: hub.client() });
    writeFileSync(first.path('model.safetensors'), 'short');
    const again = await resolveFiles(ALL, { wanted: everything, client: hub.client() });
    expect(statuses(again.files)).toMatchObject({ 'model.safetensors': 'downloaded', 'README.md': 'cached' });
    expect(readFileSync(again.path('model.safetensors')).equals(FILES['model.safetensors'])).toBe(true);
  });

  it('report their progress to the last byte', async () => {
    await using hub = await HubFixture.start();
    hub.server.commit(REPO, FILES);
    const seen: DownloadProgress[] = [];
    const onProgress = (progress: DownloadProgress): void => void seen.push(progress);
    await resolveFiles(ALL, { wanted: ['model.safetensors'], client: hub.client(), onProgress });
    expect(seen.map(({ bytesDone }) => bytesDone)).toEqual(
      seen.map(({ bytesDone }) => bytesDone).sort((a, b) => a - b),
    );
    expect(seen.at(-1)).toMatchObject({
      file: 'model.safetensors',
      bytesDone: 300_000,
      bytesTotal: 300_000,
      secondsLeft: 0,
    });
    expect(seen.at(-1)!.bytesPerSecond).toBeGreaterThan(0);
  });

  it('are fetched at most four at a time', async () => {
    await using hub = await HubFixture.start();
    const names = Array.from({ length: 9 }, (_, at) => `part-${at}.txt`);
    hub.server.commit(REPO, Object.fromEntries(names.map((name) => [name, name])));
    hub.server.inject('/resolve/', { kind: 'slow', chunkBytes: 5, pauseMs: 60 }, names.length);
    await resolveFiles(ALL, { wanted: everything, client: hub.client() });
    expect(hub.server.mostAtOnce).toBe(4);
  });
});

describe('a revision', () => {
  it('with slashes is looked up and remembered', async () => {
    await using hub = await HubFixture.start();
    const old = hub.server.commit(REPO, FILES, { revisions: ['refs/pr/3'] });
    hub.server.commit(REPO, { 'config.json': 'newer' });
    const found = await resolveFiles(
      { ...ALL, revision: 'refs/pr/3' },
      { wanted: ['config.json'], client: hub.client() },
    );
    expect(found.source).toMatchObject({ commit: old, revision: 'refs/pr/3' });
    expect(readFileSync(join(folderOf(hub), 'refs/refs/pr/3'), 'utf8')).toBe(old);
  });

  it('of the options wins over that of the reference, and a commit needs no looking up', async () => {
    await using hub = await HubFixture.start();
    const old = hub.server.commit(REPO, FILES);
    hub.server.commit(REPO, { 'config.json': 'newer' });
    const found = await resolveFiles(
      { ...ALL, revision: 'main' },
      { wanted: ['config.json'], revision: old, client: hub.client() },
    );
    expect(readFileSync(found.path('config.json'), 'utf8')).toBe(FILES['config.json']);
    expect(hub.server.seen('/revision/')).toEqual([]);
  });

  it('stays the same commit throughout a run, whatever is pushed meanwhile', async () => {
    await using hub = await HubFixture.start();
    const first = hub.server.commit(REPO, FILES);
    const client = hub.client();
    await resolveFiles(ALL, { wanted: ['config.json'], client });
    hub.server.commit(REPO, { 'config.json': 'newer' });
    const second = await resolveFiles(ALL, { wanted: ['model.safetensors'], client });
    expect(second.source).toMatchObject({ commit: first });
    expect(hub.server.seen('/revision/').length).toBe(1);
  });
});

describe('a dry run', () => {
  it('says what is missing, writes nothing, and reads headers by range', async () => {
    await using hub = await HubFixture.start();
    hub.server.commit(REPO, FILES);
    const found = await resolveFiles(ALL, { wanted: everything, client: hub.client(), dryRun: true });
    expect(new Set(found.files.map(({ status }) => status))).toEqual(new Set(['missing']));
    expect(found.files.find(({ path }) => path === 'model.safetensors')?.bytes).toBe(300_000);
    using source = await found.open('model.safetensors');
    const target = new Uint8Array(100);
    for (const offset of [0, 8, 299_900]) {
      await source.read(offset, target);
      expect(Buffer.from(target).equals(FILES['model.safetensors'].subarray(offset, offset + 100))).toBe(
        true,
      );
    }
    await expect(source.read(299_901, target)).rejects.toMatchObject({ exitCode: 4 });
    const ranges = hub.server.seen('cdn GET').map(({ range }) => range);
    expect(ranges).toEqual(['bytes=0-262143', 'bytes=299900-299999']);
    expect(() => found.path('model.safetensors')).toThrow(NotFoundError);
    expect(() => readdirSync(hub.cacheDir)).toThrow(/ENOENT/);
  });

  it('tells a server that knows no ranges from one that does', async () => {
    await using hub = await HubFixture.start();
    hub.server.commit(REPO, FILES);
    const found = await resolveFiles(ALL, { wanted: everything, client: hub.client(), dryRun: true });
    using source = await found.open('model.safetensors');
    const target = new Uint8Array(8);
    hub.server.inject('cdn GET', { kind: 'noRange' }, 2);
    await source.read(0, target);
    expect(Buffer.from(target).equals(FILES['model.safetensors'].subarray(0, 8))).toBe(true);
    expect(await errorOf(source.read(290_000, target))).toMatchObject({ code: 'no_ranges', exitCode: 69 });
  });

  it('opens from the disk what is there', async () => {
    await using hub = await HubFixture.start();
    hub.server.commit(REPO, FILES);
    await resolveFiles(ALL, { wanted: ['model.safetensors'], client: hub.client() });
    const found = await resolveFiles(ALL, { wanted: everything, client: hub.client(), dryRun: true });
    expect(statuses(found.files)).toMatchObject({ 'model.safetensors': 'cached', 'config.json': 'missing' });
    const before = hub.server.seen('cdn').length;
    using source = await found.open('model.safetensors');
    await source.read(0, new Uint8Array(8));
    expect(hub.server.seen('cdn').length).toBe(before);
  });
});

describe('offline', () => {
  it('a full cache works without one request', async () => {
    await using hub = await HubFixture.start();
    const commit = hub.server.commit(REPO, FILES);
    await resolveFiles(ALL, { wanted: everything, client: hub.client() });
    const before = hub.server.requests.length;
    for (const revision of ['main', commit]) {
      const found = await resolveFiles(ALL, {
        wanted: everything,
        revision,
        client: hub.client({ offline: true }),
      });
      expect(found.source).toMatchObject({ commit, revision });
      expect(found.files.map(({ path }) => path).sort()).toEqual(Object.keys(FILES).sort());
      expect(readFileSync(found.path('README.md'), 'utf8')).toBe(FILES['README.md']);
    }
    expect(hub.server.requests.length).toBe(before);
  });

  it('an empty cache, another revision and a missing file are errors of the network that name what is missing', async () => {
    await using hub = await HubFixture.start();
    hub.server.commit(REPO, FILES);
    const client = hub.client({ offline: true });
    expect(await errorOf(resolveFiles(ALL, { wanted: everything, client }))).toMatchObject({
      exitCode: 69,
      code: 'offline',
    });
    await resolveFiles(ALL, { wanted: ['config.json'], client: hub.client() });
    const before = hub.server.requests.length;
    const other = errorOf(resolveFiles({ ...ALL, revision: 'v2' }, { wanted: everything, client }));
    expect(await other).toMatchObject({
      exitCode: 69,
      message: expect.stringContaining('owner/model@v2'),
    });
    const partial = await resolveFiles(ALL, { wanted: everything, client });
    expect(() => partial.path('model.safetensors')).toThrow(NetworkError);
    expect(() => partial.path('model.safetensors')).toThrow(/model\.safetensors/);
    expect(hub.server.requests.length).toBe(before);
  });

  it('without being told so, an unreachable Hub gives way to the cache, and says so', async () => {
    await using hub = await HubFixture.start();
    const commit = hub.server.commit(REPO, FILES);
    await resolveFiles(ALL, { wanted: everything, client: hub.client() });
    hub.server.inject('hub GET /api/', { kind: 'status', status: 503 }, 100);
    const found = await resolveFiles(ALL, { wanted: everything, client: hub.client() });
    expect(found.source).toMatchObject({ commit });
    expect(hub.notices.at(-1)).toContain(`Using owner/model at commit ${commit} from the cache`);
  });
});

describe('files named by hf:// addresses', () => {
  it('come with the commit of their own repository, many in one question', async () => {
    await using hub = await HubFixture.start();
    hub.server.commit(REPO, FILES);
    const old = hub.server.commit('google/scope', {
      'l0/params.npz': sampleBytes(900, 3),
      'l1/params.npz': 'b',
    });
    const now = hub.server.commit('google/scope', { 'l0/params.npz': 'newer', 'l1/params.npz': 'b' });
    const uris = [
      'hf://google/scope/l1/params.npz',
      `hf://google/scope/l0/params.npz@${old}`,
      'hf://owner/model/README.md',
    ];
    const [newer, older, readme] = await resolveUris(uris, { client: hub.client() });
    expect(newer!.source).toEqual({ kind: 'hub', repo: 'google/scope', revision: 'main', commit: now });
    expect(older!.source).toEqual({ kind: 'hub', repo: 'google/scope', revision: old, commit: old });
    expect(readFileSync(older!.path()).equals(sampleBytes(900, 3))).toBe(true);
    expect(readFileSync(readme!.path(), 'utf8')).toBe(FILES['README.md']);
    expect(newer!.file).toEqual({ path: 'l1/params.npz', bytes: 1, status: 'downloaded' });
    expect(hub.server.seen('/tree/')).toEqual([]);
    expect(hub.server.seen('/paths-info/').length).toBe(3);
  });

  it('need no question when a commit is named and the file is there, or offline', async () => {
    await using hub = await HubFixture.start();
    const commit = hub.server.commit(REPO, FILES);
    await resolveUri('hf://owner/model/config.json', { client: hub.client() });
    const before = hub.server.requests.length;
    const pinned = await resolveUri(`hf://owner/model/config.json@${commit}`, { client: hub.client() });
    const offline = await resolveUri('hf://owner/model/config.json', {
      client: hub.client({ offline: true }),
    });
    expect([pinned.path(), offline.path()]).toEqual([pinned.path(), pinned.path()]);
    expect(hub.server.requests.length).toBe(before);
  });

  it('that are not there are named before anything is fetched', async () => {
    await using hub = await HubFixture.start();
    hub.server.commit(REPO, FILES);
    const uris = ['hf://owner/model/config.json', 'hf://owner/model/nothing.npz'];
    const error = await errorOf(resolveUris(uris, { client: hub.client() }));
    expect(error).toMatchObject({ exitCode: 3, message: "owner/model@main has no file 'nothing.npz'" });
    expect(hub.server.seen('/resolve/')).toEqual([]);
  });
});

describe('a local folder', () => {
  it('is listed through its links, without hidden files and without going in circles', async () => {
    await using hub = await HubFixture.start();
    const folder = join(hub.root, 'model');
    mkdirSync(join(folder, 'sub/.git'), { recursive: true });
    writeFileSync(join(folder, 'sub/.git/HEAD'), 'x');
    writeFileSync(join(folder, 'config.json'), '{}');
    writeFileSync(join(hub.root, 'weights'), 'abc');
    symlinkSync('../../weights', join(folder, 'sub/model.safetensors'));
    symlinkSync('..', join(folder, 'sub/up'));
    symlinkSync('nowhere', join(folder, 'dangling'));
    symlinkSync('itself', join(folder, 'itself'));
    symlinkSync('config.json/x', join(folder, 'through a file'));
    const found = await resolveFiles({ kind: 'local', path: folder }, { wanted: everything });
    expect(found.source).toEqual({ kind: 'local', path: folder });
    expect(found.files).toEqual([
      { path: 'config.json', bytes: 2, status: 'local' },
      { path: 'sub/model.safetensors', bytes: 3, status: 'local' },
    ]);
    expect(lstatSync(found.path('sub/model.safetensors')).isSymbolicLink()).toBe(true);
    using source = await found.open('sub/model.safetensors');
    expect(source.size).toBe(3);
    expect(() => found.path('confg.json')).toThrow(
      expect.objectContaining({ hint: "There is 'config.json'." }),
    );
  });

  it('that is missing or is a file is named', async () => {
    await using hub = await HubFixture.start();
    writeFileSync(join(hub.root, 'file'), '');
    for (const name of ['nothing', 'file']) {
      const error = await errorOf(
        resolveFiles({ kind: 'local', path: join(hub.root, name) }, { wanted: everything }),
      );
      expect(error).toMatchObject({ exitCode: 3, message: expect.stringContaining(name) });
    }
  });
});
