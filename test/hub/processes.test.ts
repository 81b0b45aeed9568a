import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { resolveFiles } from '../../src/hub/resolve.ts';
import { startFetch } from './child/start.ts';
import { HubFixture, REPO, sampleBytes } from './setup.ts';

const WEIGHTS = sampleBytes(400_000);
const SLOW = { kind: 'slow', chunkBytes: 10_000, pauseMs: 50 } as const; // about 2 s in all

async function startHub(): Promise<HubFixture> {
  const hub = await HubFixture.start();
  hub.server.commit(REPO, { 'model.safetensors': WEIGHTS });
  return hub;
}

/** Waits until the blob has begun to grow. */
async function incompleteOf(hub: HubFixture): Promise<string> {
  const etag = /[0-9a-f]{64}/;
  for (;;) {
    const asked = etag.exec(hub.server.seen('cdn')[0]?.path ?? '')?.[0];
    const path = join(hub.cacheDir, 'models--owner--model/blobs', `${asked ?? 'none'}.incomplete`);
    if (existsSync(path) && statSync(path).size > 0) return path;
    await wait(10);
  }
}

describe('two processes', () => {
  it('that want the same file at once fetch it once', async () => {
    await using hub = await startHub();
    hub.server.inject('cdn', SLOW, 2);
    const children = [startFetch(REPO, hub.environment()), startFetch(REPO, hub.environment())];
    const results = await Promise.all(children.map(async ({ ended }) => ended));
    expect(results.map(({ code }) => code)).toEqual([0, 0]);
    expect(hub.server.seen('cdn').length).toBe(1);
    expect(results.map(({ stderr }) => stderr).join('')).toContain(
      'another process is fetching model.safetensors',
    );
    const files = await resolveFiles(
      { kind: 'hub', repo: REPO },
      { wanted: () => true, client: hub.client({ offline: true }) },
    );
    expect(readFileSync(files.path('model.safetensors')).equals(WEIGHTS)).toBe(true);
  });
});

describe('a process', () => {
  it('that is killed leaves what it has, and the next one goes on from there at once', async () => {
    await using hub = await startHub();
    hub.server.inject('cdn', SLOW);
    const child = startFetch(REPO, hub.environment());
    const incomplete = await incompleteOf(hub);
    child.process.kill('SIGKILL');
    await child.ended;
    const keptBytes = statSync(incomplete).size;
    expect(keptBytes).toBeGreaterThan(0);
    const startMs = performance.now();
    const files = await resolveFiles(
      { kind: 'hub', repo: REPO },
      { wanted: () => true, client: hub.client() },
    );
    expect(readFileSync(files.path('model.safetensors')).equals(WEIGHTS)).toBe(true);
    expect(hub.server.seen('cdn').at(-1)?.range).toBe(`bytes=${keptBytes}-`);
    expect(performance.now() - startMs).toBeLessThan(10_000); // the lock of the dead is not waited for
  });

  it('that gets Ctrl-C ends with an error, without a lock, and keeps what it has', async () => {
    await using hub = await startHub();
    hub.server.inject('cdn', SLOW);
    const child = startFetch(REPO, hub.environment());
    const incomplete = await incompleteOf(hub);
    child.process.kill('SIGINT');
    const { code, stdout } = await child.ended;
    expect({ code, stdout }).toEqual({ code: 1, stdout: JSON.stringify({ error: 'interrupted' }) });
    const kept = readFileSync(incomplete);
    expect(kept.equals(WEIGHTS.subarray(0, kept.length))).toBe(true);
    expect(existsSync(join(hub.cacheDir, 'models--owner--model/refs/main'))).toBe(false);
  });

  it('offline with a full cache asks nothing', async () => {
    await using hub = await startHub();
    expect((await startFetch(REPO, hub.environment()).ended).code).toBe(0);
    const before = hub.server.requests.length;
    const { code, stdout } = await startFetch(REPO, hub.environment({ offline: true })).ended;
    expect({ code, files: JSON.parse(stdout) as unknown }).toEqual({
      code: 0,
      files: [{ path: 'model.safetensors', bytes: WEIGHTS.length, status: 'cached' }],
    });
    expect(hub.server.requests.length).toBe(before);
  });
});
