/** A folder's files as a commit on the loopback Hub: what is sent, what is not sent again, who may write. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { NetworkError, NotFoundError } from '../../src/errors.ts';
import { pushFiles, type PushOptions } from '../../src/hub/push.ts';
import { errorOf, HubFixture, QUICK, sampleBytes, type ClientSetup } from './setup.ts';

const TOKEN = 'hf_writer';
const REPO = 'owner/set';
const FILES = {
  'layer_0.safetensors': sampleBytes(200_000),
  'layer_1.safetensors': sampleBytes(3_000),
  'config.yaml': Buffer.from('model_name: x\n'),
  'features/index.json': Buffer.from('{}'),
};

async function startHub(): Promise<HubFixture> {
  const hub = await HubFixture.start();
  hub.server.writes.writers.add(TOKEN);
  for (const [path, bytes] of Object.entries(FILES)) {
    mkdirSync(dirname(join(hub.root, 'set', path)), { recursive: true });
    writeFileSync(join(hub.root, 'set', path), bytes);
  }
  return hub;
}

function push(hub: HubFixture, options: Partial<PushOptions> = {}, setup: ClientSetup = {}) {
  const files = Object.entries(FILES).map(([path, bytes]) => ({
    path,
    file: join(hub.root, 'set', path),
    bytes: bytes.length,
  }));
  const all = { repo: REPO, files, title: 'A set', branch: 'main', isPrivate: false, ...options };
  return pushFiles(hub.client({ token: TOKEN, ...setup }), all);
}

function expectThere(hub: HubFixture): void {
  const found = hub.server.filesOf(REPO)!;
  expect([...found.keys()].sort()).toEqual(Object.keys(FILES).sort());
  for (const [path, bytes] of Object.entries(FILES)) expect(found.get(path)!.equals(bytes)).toBe(true);
}

describe('a push', () => {
  it('makes the repository and commits every file, large ones over LFS', async () => {
    await using hub = await startHub();
    const progress: number[] = [];
    const { commit, url } = await push(hub, { isPrivate: true, onProgress: (done) => progress.push(done) });
    expectThere(hub);
    expect(url).toBe(`${hub.server.endpoint}/${REPO}/commit/${commit}`);
    expect(hub.server.writes.made).toEqual([{ name: REPO, visibility: 'private' }]);
    expect(hub.server.writes.messages).toEqual(['A set']);
    expect(progress.at(-1)).toBe(203_016);
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
  });

  it('sends a large file in the parts that the Hub asks for', async () => {
    await using hub = await startHub();
    hub.server.writes.partBytes = 64_000;
    await push(hub);
    expectThere(hub);
    expect(hub.server.seen('cdn PUT').length).toBe(5);
  });

  it('shows its token to the Hub and to nobody else', async () => {
    await using hub = await startHub();
    await push(hub);
    for (const { host, authorization } of hub.server.requests)
      expect(authorization).toBe(host === 'hub' ? `Bearer ${TOKEN}` : undefined);
  });

  it('run again sends no large file again, and makes no repository', async () => {
    await using hub = await startHub();
    hub.server.inject('hub POST /api/models', { kind: 'status', status: 400 }, 1); // preupload of the first run
    expect(await errorOf(push(hub))).toBeInstanceOf(NetworkError);
    hub.server.inject('/commit/', { kind: 'status', status: 400 }, 1);
    expect(await errorOf(push(hub))).toBeInstanceOf(NetworkError);
    expect(hub.server.filesOf(REPO)!.size).toBe(0);
    expect(hub.server.writes.nObjects).toBe(2);
    const before = hub.server.seen('cdn PUT').length;
    await push(hub);
    expectThere(hub);
    expect(hub.server.seen('cdn PUT').length).toBe(before);
    expect(hub.server.writes.made.length).toBe(1);
  });

  it.each([
    ['hub POST /api/repos', 503],
    ['preupload', 502],
    ['objects/batch', 429],
    ['cdn PUT', 500],
    ['/commit/', 503],
  ])('gets over a passing fault: %s answers %d', async (match, status) => {
    await using hub = await startHub();
    hub.server.inject(match, { kind: 'status', status });
    await push(hub);
    expectThere(hub);
    expect(hub.notices.length).toBe(1);
  });

  it('gives up on a fault that stays, with nothing committed', async () => {
    await using hub = await startHub();
    hub.server.inject('cdn PUT', { kind: 'status', status: 500 }, 100);
    const error = await errorOf(push(hub));
    expect(error).toBeInstanceOf(NetworkError);
    expect(hub.server.seen('cdn PUT').length).toBeLessThanOrEqual(2 * QUICK.attempts);
    expect(hub.server.filesOf(REPO)!.size).toBe(0);
  });

  it.each([
    ['without a token', { token: undefined }, NotFoundError, 'no_token'],
    ['with a token that may not write', { token: 'hf_reader' }, NotFoundError, 'may_not_write'],
    ['offline', { offline: true }, NetworkError, 'offline'],
  ])('is refused %s', async (_, setup, kind, code) => {
    await using hub = await startHub();
    const { token, ...rest } = { token: TOKEN, ...setup };
    const error = await errorOf(push(hub, {}, { ...rest, token: token as string }));
    expect(error).toBeInstanceOf(kind);
    expect(error).toMatchObject({ code });
    expect(String((error as Error).message)).not.toContain('hf_reader');
    expect(hub.server.filesOf(REPO)).toBeUndefined();
  });

  it('understands answers that are no JSON as the fault of the address', async () => {
    await using hub = await startHub();
    hub.server.inject('preupload', { kind: 'page', text: '<html>sign in</html>' });
    expect(await errorOf(push(hub))).toMatchObject({ code: 'push_refused' });
  });

  it('ends when it is cancelled', async () => {
    await using hub = await startHub();
    hub.server.inject('cdn PUT', { kind: 'silence' }, 100);
    const stop = new AbortController();
    const pushing = errorOf(push(hub, { signal: stop.signal }));
    while (hub.server.seen('cdn PUT').length === 0) await new Promise((wake) => setTimeout(wake, 10));
    stop.abort(new Error('stopped'));
    expect(await pushing).toMatchObject({ message: 'stopped' });
  });
});
