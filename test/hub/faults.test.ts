import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { dirname, join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { BadFileError, ExhaustedError, NetworkError } from '../../src/errors.ts';
import { HubClient, type LocalFiles, type ResolveFilesOptions, resolveFiles } from '../../src/hub/resolve.ts';
import { readHubEnvironment } from '../../src/hub/environment.ts';
import type { Fault } from '../support/hub-faults.ts';
import { errorOf, HubFixture, QUICK, REPO, sampleBytes } from './setup.ts';

const WEIGHTS = sampleBytes(400_000);
const SHA256 = createHash('sha256').update(WEIGHTS).digest('hex');
const LARGE = 'model.safetensors';
const SMALL = 'config.json';
const blobOf = (hub: HubFixture): string => join(hub.cacheDir, 'models--owner--model/blobs', SHA256);
const incompleteOf = (hub: HubFixture): string => `${blobOf(hub)}.incomplete`;

async function startHub(): Promise<HubFixture> {
  const hub = await HubFixture.start();
  hub.server.commit(REPO, { [LARGE]: WEIGHTS, [SMALL]: '{"d_model": 4}' });
  return hub;
}

async function fetchFiles(hub: HubFixture, options: Partial<ResolveFilesOptions> = {}): Promise<LocalFiles> {
  return resolveFiles({ kind: 'hub', repo: REPO }, { wanted: [LARGE], client: hub.client(), ...options });
}

function expectRight(files: LocalFiles): void {
  expect(readFileSync(files.path(LARGE)).equals(WEIGHTS)).toBe(true);
}

describe('a fault that passes', () => {
  it.each<[string, string, Fault]>([
    ['503 of the Hub', 'hub GET /owner', { kind: 'status', status: 503 }],
    ['500 of a listing', 'hub GET /api', { kind: 'status', status: 500 }],
    [
      '429 with Retry-After',
      'hub GET /owner',
      { kind: 'status', status: 429, headers: { 'retry-after': '0' } },
    ],
    ['504 of the content network', 'cdn', { kind: 'status', status: 504 }],
    ['an expired address of the content network', 'cdn', { kind: 'status', status: 403 }],
    ['a cut in the middle', 'cdn', { kind: 'cut', afterBytes: 150_000 }],
    ['a cut before the first byte', 'cdn', { kind: 'cut', afterBytes: 1 }],
    ['wrong bytes once', 'cdn', { kind: 'wrongBytes' }],
    ['bytes beyond the end once', 'cdn', { kind: 'excess' }],
  ])('is got over: %s', async (_, match, fault) => {
    await using hub = await startHub();
    hub.server.inject(match, fault);
    expectRight(await fetchFiles(hub));
    expect(existsSync(incompleteOf(hub))).toBe(false);
    expect(hub.notices.length).toBe(1);
  });

  it('such as silence is noticed and got over', async () => {
    await using hub = await startHub();
    hub.server.inject('cdn', { kind: 'stall', afterBytes: 100_000 });
    expectRight(await fetchFiles(hub, { client: hub.client({ stallMs: 300 }) }));
    expect(hub.notices.join()).toContain('sent nothing for too long');
    expect(hub.server.seen('cdn')[1]?.range).toMatch(/^bytes=[1-9]\d*-$/);
  });

  it('does not end a slow transfer that goes on', async () => {
    await using hub = await startHub();
    hub.server.inject('cdn', { kind: 'slow', chunkBytes: 40_000, pauseMs: 100 });
    expectRight(await fetchFiles(hub, { client: hub.client({ stallMs: 500 }) }));
    expect(hub.notices).toEqual([]);
  });

  it('does not count against a transfer that gets further each time', async () => {
    await using hub = await startHub();
    hub.server.inject('cdn', { kind: 'cut', afterBytes: 50_000 }, 7); // more than the tries that bring nothing
    expectRight(await fetchFiles(hub));
    const starts = hub.server.seen('cdn').map(({ range }) => Number(/\d+/.exec(range ?? '0')?.[0]));
    expect(starts.length).toBe(8);
    expect(starts).toEqual([...starts].sort((a, b) => a - b));
  });

  it('waits as long as Retry-After asks', async () => {
    await using hub = await startHub();
    hub.server.inject('hub GET /owner', { kind: 'status', status: 429, headers: { 'retry-after': '1' } });
    const startMs = performance.now();
    await fetchFiles(hub);
    expect(performance.now() - startMs).toBeGreaterThan(950);
  });
});

describe('a fault that does not pass', () => {
  it.each<[string, string, Fault]>([
    ['503', 'hub GET /owner', { kind: 'status', status: 503 }],
    ['a connection that breaks at once', 'cdn', { kind: 'cut', afterBytes: 0 }],
    ['a server that starts from 0 each time and never ends', 'cdn', { kind: 'cut', afterBytes: 1000 }],
  ])('ends in an error of the network: %s', async (_, match, fault) => {
    await using hub = await startHub();
    if (fault.kind === 'cut') hub.server.ignoreRanges = true;
    hub.server.inject(match, fault, 1000);
    const error = await errorOf(fetchFiles(hub));
    expect(error).toBeInstanceOf(NetworkError);
    expect(error).toMatchObject({ exitCode: 69, hint: expect.stringContaining('start again') });
    expect(hub.server.seen(match).length).toBeLessThanOrEqual(QUICK.attempts + 1);
  });

  it('such as a closed port names the address', async () => {
    await using hub = await startHub();
    const environment = { ...readHubEnvironment({}, hub.environment()), endpoint: 'http://127.0.0.1:9' };
    const error = await errorOf(fetchFiles(hub, { client: new HubClient(environment, { retry: QUICK }) }));
    expect(error).toMatchObject({ exitCode: 69, message: expect.stringContaining('127.0.0.1:9') });
  });

  it('such as a wait longer than anybody has is told at once', async () => {
    await using hub = await startHub();
    hub.server.inject('hub GET /owner', { kind: 'status', status: 429, headers: { 'retry-after': '86400' } });
    const error = await errorOf(fetchFiles(hub));
    expect(error).toMatchObject({ exitCode: 69, message: expect.stringContaining('86400 s') });
  });

  it.each([
    [LARGE, 'sha256'],
    [SMALL, 'git sha1'],
  ])('such as wrong bytes of %s is found by its %s, and nothing of it is kept', async (name, hash) => {
    await using hub = await startHub();
    hub.server.inject(name === LARGE ? 'cdn' : 'hub GET /owner', { kind: 'wrongBytes' }, 2);
    const error = await errorOf(fetchFiles(hub, { wanted: [name] }));
    expect(error).toBeInstanceOf(BadFileError);
    expect(error).toMatchObject({ exitCode: 4, message: expect.stringContaining(hash) });
    expect(readdirSync(join(hub.cacheDir, 'models--owner--model/blobs'))).toEqual([]);
    expectRight(await fetchFiles(hub)); // and the next run starts afresh
  });

  it('in one file lets the others keep what they have', async () => {
    await using hub = await startHub();
    hub.server.inject('cdn', { kind: 'slow', chunkBytes: 20_000, pauseMs: 50 });
    hub.server.inject(`/${SMALL}`, { kind: 'wrongBytes' }, 2);
    await errorOf(fetchFiles(hub, { wanted: () => true }));
    expect(existsSync(blobOf(hub))).toBe(false);
    expectRight(await fetchFiles(hub));
  });

  it('such as a listing that leads out of the cache is refused', async () => {
    await using hub = await HubFixture.start();
    hub.server.commit(REPO, { '../../../escaped': 'x' });
    expect(await errorOf(fetchFiles(hub, { wanted: () => true }))).toMatchObject({
      exitCode: 4,
      code: 'bad_listing',
    });
    expect(existsSync(join(hub.root, 'escaped'))).toBe(false);
  });
});

describe('an interrupted download', () => {
  const leaveIncomplete = (hub: HubFixture, bytes: Uint8Array): void => {
    mkdirSync(dirname(incompleteOf(hub)), { recursive: true });
    writeFileSync(incompleteOf(hub), bytes);
  };

  it('is gone on with where it stopped', async () => {
    await using hub = await startHub();
    leaveIncomplete(hub, WEIGHTS.subarray(0, 123_456));
    expectRight(await fetchFiles(hub));
    expect(hub.server.seen('cdn').map(({ range }) => range)).toEqual(['bytes=123456-']);
  });

  it('that had all its bytes only gets its name', async () => {
    await using hub = await startHub();
    leaveIncomplete(hub, WEIGHTS);
    expectRight(await fetchFiles(hub));
    expect(hub.server.seen('/resolve/')).toEqual([]);
  });

  it.each([
    ['was damaged', Buffer.alloc(100_000)],
    ['has too many bytes', Buffer.concat([WEIGHTS, WEIGHTS])],
    ['had all its bytes, but wrong ones', Buffer.alloc(WEIGHTS.length)],
  ])('that %s is thrown away and done again', async (_, left) => {
    await using hub = await startHub();
    leaveIncomplete(hub, left);
    expectRight(await fetchFiles(hub));
  });

  it('starts again where the server knows no ranges', async () => {
    await using hub = await startHub();
    leaveIncomplete(hub, WEIGHTS.subarray(0, 300_000));
    hub.server.inject('cdn', { kind: 'noRange' });
    expectRight(await fetchFiles(hub));
    expect(hub.notices).toEqual([]); // seen from the answer, not from wrong bytes
  });

  it('by the user keeps what it has, holds no lock, and ends with the reason given', async () => {
    await using hub = await startHub();
    hub.server.inject('cdn', { kind: 'slow', chunkBytes: 20_000, pauseMs: 30 });
    const stop = new AbortController();
    const reason = new Error('Ctrl-C');
    const onProgress = ({ bytesDone }: { bytesDone: number }): void => {
      if (bytesDone > 100_000) stop.abort(reason);
    };
    expect(await errorOf(fetchFiles(hub, { signal: stop.signal, onProgress }))).toBe(reason);
    const kept = readFileSync(incompleteOf(hub));
    expect(kept.length).toBeGreaterThan(100_000);
    expect(kept.equals(WEIGHTS.subarray(0, kept.length))).toBe(true);
    expect(readdirSync(join(hub.cacheDir, '.locks/models--owner--model'))).toEqual([]);
    expectRight(await fetchFiles(hub));
    expect(hub.server.seen('cdn').at(-1)?.range).toBe(`bytes=${kept.length}-`);
  });

  it('by the user during a wait ends at once', async () => {
    await using hub = await startHub();
    hub.server.inject('hub GET /owner', { kind: 'status', status: 429, headers: { 'retry-after': '100' } });
    const stop = new AbortController();
    const fetching = errorOf(fetchFiles(hub, { signal: stop.signal }));
    while (hub.notices.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    stop.abort(new Error('Ctrl-C'));
    expect(await fetching).toMatchObject({ message: 'Ctrl-C' });
  });
});

describe('the disk', () => {
  it('that is too small is refused before the first byte is asked for', async () => {
    await using hub = await startHub();
    hub.server.pretendSize(REPO, LARGE, 1e15);
    const error = await errorOf(fetchFiles(hub));
    expect(error).toBeInstanceOf(ExhaustedError);
    expect(error).toMatchObject({ exitCode: 5, message: expect.stringContaining('1000000.0 GB') });
    expect(hub.server.seen('/resolve/')).toEqual([]);
  });

  it('whose cache folder cannot be made names it', async () => {
    await using hub = await startHub();
    rmSync(hub.cacheDir, { recursive: true, force: true });
    writeFileSync(hub.cacheDir, 'a file in the way');
    const error = await errorOf(fetchFiles(hub));
    expect(error).toBeInstanceOf(ExhaustedError);
    expect(error).toMatchObject({
      code: 'cache_unwritable',
      message: expect.stringContaining(hub.cacheDir),
    });
  });
});
