/** Disks that refuse links: the calls of the system are replaced, since a test cannot mount such a disk. */
import { lstatSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import * as real from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { HubFixture, REPO, sampleBytes } from './setup.ts';

let refuses: { symlink?: string; link?: string } = {};
afterEach(() => {
  refuses = {};
});

function refusal(syscall: 'symlink' | 'link'): Error {
  return Object.assign(new Error(`${refuses[syscall]}: refused, ${syscall}`), {
    code: refuses[syscall],
    syscall,
  });
}

jest.unstable_mockModule('node:fs/promises', () => ({
  ...real,
  symlink: (target: string, path: string) =>
    refuses.symlink ? Promise.reject(refusal('symlink')) : real.symlink(target, path),
  link: (target: string, path: string) =>
    refuses.link ? Promise.reject(refusal('link')) : real.link(target, path),
}));
const { resolveFiles } = await import('../../src/hub/resolve.ts');
const { HubClient } = await import('../../src/hub/client.ts');
const { readHubEnvironment } = await import('../../src/hub/environment.ts');

const WEIGHTS = sampleBytes(50_000);
const FILES = { 'config.json': '{"d_model": 4}', 'deep/model.safetensors': WEIGHTS };

async function fetchAll(hub: HubFixture, env: Record<string, string> = {}) {
  const client = new HubClient(readHubEnvironment({}, { ...hub.environment(), ...env }));
  return resolveFiles({ kind: 'hub', repo: REPO }, { wanted: () => true, client });
}

function blobsOf(hub: HubFixture): string[] {
  return readdirSync(join(hub.cacheDir, 'models--owner--model/blobs'));
}

/** Every file of the snapshot is right, is no symbolic link, is the only thing in its folder, and is found again. */
async function expectFiles(hub: HubFixture, env: Record<string, string> = {}): Promise<void> {
  const found = await fetchAll(hub, env);
  for (const [path, content] of Object.entries(FILES)) {
    expect(lstatSync(found.path(path)).isFile()).toBe(true);
    expect(readFileSync(found.path(path)).equals(Buffer.from(content))).toBe(true);
  }
  const { commit } = found.source as { commit: string };
  const snapshot = join(hub.cacheDir, 'models--owner--model/snapshots', commit);
  expect(readdirSync(snapshot).sort()).toEqual(['config.json', 'deep']);
  expect(readdirSync(join(snapshot, 'deep'))).toEqual(['model.safetensors']);
  const asked = hub.server.seen('/resolve/').length;
  const again = await fetchAll(hub, env);
  expect(again.files.map(({ status }) => status)).toEqual(['cached', 'cached']);
  const offline = await fetchAll(hub, { ...env, HF_HUB_OFFLINE: '1' });
  expect(offline.files.length).toBe(2);
  expect(hub.server.seen('/resolve/').length).toBe(asked);
}

describe('A disk without symbolic links', () => {
  it.each(['EROFS', 'EACCES', 'EPERM', 'EINVAL', 'EIO', 'ENOENT', 'EPROTO', 'ENOTSUP', 'ENOSYS', 'ESTALE'])(
    'that refuses them with %s gets the files, as second names of their blobs',
    async (code) => {
      await using hub = await HubFixture.start();
      hub.server.commit(REPO, FILES);
      refuses = { symlink: code };
      await expectFiles(hub);
      expect(blobsOf(hub).length).toBe(2);
    },
  );

  it.each(['EPERM', 'EMLINK', 'EXDEV', 'ENOSYS'])(
    'nor second names (%s) gets them once, without blobs beside them',
    async (code) => {
      await using hub = await HubFixture.start();
      hub.server.commit(REPO, FILES);
      refuses = { symlink: 'EPERM', link: code };
      await expectFiles(hub);
      expect(blobsOf(hub)).toEqual([]);
    },
  );

  it('gets a copy of a blob that was there before, since a link elsewhere may lead to it', async () => {
    await using hub = await HubFixture.start();
    hub.server.commit(REPO, { 'old/model.safetensors': WEIGHTS });
    const before = await fetchAll(hub);
    hub.server.commit(REPO, FILES);
    refuses = { symlink: 'EPERM', link: 'EPERM' };
    await expectFiles(hub);
    expect(readFileSync(before.path('old/model.safetensors')).equals(WEIGHTS)).toBe(true);
    expect(blobsOf(hub).length).toBe(1);
  });

  it('gets a file again that was cut short', async () => {
    await using hub = await HubFixture.start();
    hub.server.commit(REPO, FILES);
    refuses = { symlink: 'EPERM', link: 'EPERM' };
    const first = await fetchAll(hub);
    rmSync(first.path('deep/model.safetensors'));
    await real.writeFile(first.path('deep/model.safetensors'), 'short');
    await expectFiles(hub);
  });
});

describe('HF_HUB_DISABLE_SYMLINKS', () => {
  it.each(['1', 'on', 'YES', 'true'])('=%s: no link of any kind is made', async (value) => {
    await using hub = await HubFixture.start();
    hub.server.commit(REPO, FILES);
    await expectFiles(hub, { HF_HUB_DISABLE_SYMLINKS: value });
    const found = await fetchAll(hub);
    for (const path of Object.keys(FILES)) expect(statSync(found.path(path)).nlink).toBe(1);
  });

  it.each(['0', 'no', ''])("='%s': links are made", async (value) => {
    await using hub = await HubFixture.start();
    hub.server.commit(REPO, FILES);
    const found = await fetchAll(hub, { HF_HUB_DISABLE_SYMLINKS: value });
    expect(lstatSync(found.path('config.json')).isSymbolicLink()).toBe(true);
  });
});
