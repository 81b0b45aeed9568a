/** Downloads that go wrong, with the real binary and a Hub on loopback: the network, the cache, the disk, Ctrl-C. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { HubFixture } from '../hub/setup.ts';
import { goldenPath } from '../support/golden.ts';
import { expectRefusal, refused, type CommandLine } from './refusal.ts';
import { tracer } from './shared.ts';
import { envelope, finish, start, type StartOptions } from './start.ts';

const MODEL_REPO = 'golden/tiny-a';
const SET_REPO = 'golden/tiny-a-set';
const LOAD: CommandLine = ['load', '--model', MODEL_REPO, '--transcoders', SET_REPO];
const WEIGHTS = readFileSync(goldenPath('tiny-a', 'model', 'model.safetensors'));
/** Below the weights, above every other file. */
const LARGEST_FILE_BYTES = 100_000;
const WAIT_MS = 10;

let hub: HubFixture;

beforeEach(async () => {
  hub = await HubFixture.start();
  mkdirSync(hub.cacheDir);
  hub.server.commit(MODEL_REPO, filesOf(goldenPath('tiny-a', 'model')));
  hub.server.commit(SET_REPO, filesOf(goldenPath('tiny-a', 'transcoders', 'plt-jumprelu')));
});

afterEach(async () => {
  await hub[Symbol.asyncDispose]();
});

function filesOf(folder: string): Record<string, Buffer> {
  return Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))]));
}

const online = (): StartOptions => ({ env: { HF_HUB_OFFLINE: '0', ...hub.environment() } });

/** Paths below the cache that end in one of these words. */
function leftovers(...endings: readonly string[]): string[] {
  const names = readdirSync(hub.cacheDir, { recursive: true, encoding: 'utf8' });
  return names.filter((name) => endings.some((ending) => name.endsWith(ending)));
}

/** A second `load` has to succeed, and everything in the cache has to be right afterwards. */
async function expectRecovery(): Promise<void> {
  const finished = await tracer([...LOAD, '--json'], online());
  expect({ exitCode: finished.exitCode, error: envelope(finished).error }).toEqual({ exitCode: 0, error: undefined }); // prettier-ignore
  expect(leftovers('.incomplete')).toEqual([]);
  const snapshots = join(hub.cacheDir, 'models--golden--tiny-a/snapshots');
  const [commit] = readdirSync(snapshots);
  expect(readFileSync(join(snapshots, commit!, 'model.safetensors')).equals(WEIGHTS)).toBe(true);
}

/** Starts `load` and waits until the weights have begun to arrive. */
async function startSlowly() {
  hub.server.inject('cdn', { kind: 'slow', chunkBytes: 10_000, pauseMs: 40 }, 10);
  const child = start([...LOAD, '--json'], online());
  child.stdin?.end();
  const ended = finish(child);
  // A small file is renamed as soon as it is whole, which may be between its listing and its size.
  const sizeOf = (name: string): number => statSync(join(hub.cacheDir, name), { throwIfNoEntry: false })?.size ?? 0; // prettier-ignore
  while (!leftovers('.incomplete').some((name) => sizeOf(name) > 0)) await wait(WAIT_MS);
  return { child, ended };
}

describe('Ctrl-C in the middle of a download', () => {
  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)(
    '(%s) ends with its exit code, keeps what came and damages nothing',
    async (signal, exitCode) => {
      const { child, ended } = await startSlowly();
      child.kill(signal);
      const finished = await ended;
      expect({ exitCode: finished.exitCode, stderr: /^\s+at /m.test(finished.stderr) }).toEqual({ exitCode, stderr: false }); // prettier-ignore
      expect(envelope(finished)).toMatchObject({ command: 'load', error: { code: 'interrupted', message: `stopped by ${signal}` } }); // prettier-ignore
      expect(leftovers('.lock', '.tmp')).toEqual([]);
      expect(leftovers('refs/main')).toEqual([]);
      await expectRecovery();
      expect(hub.server.seen('cdn').some(({ range }) => range !== undefined)).toBe(true);
    },
  );

  it('twice ends at once, and the next command clears up', async () => {
    const { child, ended } = await startSlowly();
    child.kill('SIGINT');
    child.kill('SIGINT');
    expect((await ended).exitCode).toBe(130);
    await expectRecovery();
  });
});

describe('a cache', () => {
  it('that cannot be written is named, with the flag for another one', async () => {
    const file = join(hub.root, 'a file');
    writeFileSync(file, 'what was there before');
    const place = join(file, 'cache');
    await refused(
      hub.root,
      [...LOAD, '--cache-dir', place],
      { exitCode: 5, code: 'cache_unwritable', says: [place], next: '--cache-dir' },
      online(),
    );
  });

  it('on a disk that fills up keeps what came, says so, and goes on later', async () => {
    const limited = { ...online(), largestFileBytes: LARGEST_FILE_BYTES };
    const finished = await tracer([...LOAD, '--json'], limited);
    expectRefusal(finished, 'load', { exitCode: 5, code: 'disk_full', says: ['full'], next: 'start again' });
    expect(leftovers('.lock', '.tmp')).toEqual([]);
    await expectRecovery();
  });

  it('of which a file was lost says which one when the network is off', async () => {
    await expectRecovery();
    const [lost] = leftovers('layer_2.safetensors');
    rmSync(join(hub.cacheDir, lost!));
    await refused(
      hub.cacheDir,
      [...LOAD, '--offline'],
      { exitCode: 69, code: 'offline', says: ['layer_2.safetensors'], next: 'tracer load' },
      online(),
    );
  });

  it('of which the weights were lost says so when the network is off', async () => {
    await expectRecovery();
    for (const name of leftovers('model.safetensors', 'tokenizer.json')) rmSync(join(hub.cacheDir, name));
    await refused(
      hub.cacheDir,
      [...LOAD, '--offline'],
      { exitCode: 69, code: 'offline', says: ['model.safetensors'], next: 'tracer load' },
      online(),
    );
  });

  it('of which a file was cut short is mended', async () => {
    await expectRecovery();
    const blobs = leftovers('').filter((name) => name.includes('tiny-a/blobs/'));
    const largest = blobs.reduce((a, b) => (sizeOf(a) > sizeOf(b) ? a : b));
    writeFileSync(join(hub.cacheDir, largest), WEIGHTS.subarray(0, 1_000));
    await expectRecovery();
  });

  const sizeOf = (name: string): number => statSync(join(hub.cacheDir, name)).size;
});

describe('the real end of a disk', () => {
  const TMPFS_BYTES = 160 * 1024; // less than the model

  it('is told as such, and the files that fit stay right', async () => {
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${TMPFS_BYTES}`, 'tmpfs', hub.cacheDir]);
    // Only root may mount. The limit of a file's size above takes the same way through the code.
    if (mounted.status !== 0) return expect(process.getuid?.()).not.toBe(0);
    try {
      const finished = await tracer([...LOAD, '--json'], online());
      expectRefusal(finished, 'load', { exitCode: 5, code: 'disk_full', says: [hub.cacheDir, 'free'], next: '--cache-dir' }); // prettier-ignore
      expect(leftovers('.lock', '.tmp', '.incomplete')).toEqual([]);
    } finally {
      spawnSync('umount', [hub.cacheDir]);
    }
  });
});

describe('a Hub', () => {
  it.each([
    ['that is switched off by --offline', ['--offline'], 'offline', 'without --offline'],
    ['that is switched off by a variable', [], 'offline', 'without --offline'],
  ] as const)('%s is not asked', async (_, flags, code, next) => {
    const options = flags.length > 0 ? online() : { env: { ...hub.environment({ offline: true }) } };
    await refused(hub.root, [...LOAD, ...flags], { exitCode: 69, code, says: [MODEL_REPO], next }, options);
    expect(hub.server.requests).toEqual([]);
  });

  it('that nobody listens at is named', async () => {
    const options = { env: { ...online().env, HF_ENDPOINT: 'http://127.0.0.1:9' } };
    await refused(
      hub.root,
      LOAD,
      { exitCode: 69, code: 'network_failed', says: ['127.0.0.1:9'], next: /./ },
      options,
    );
  });

  it('that does not know the repository says so', async () => {
    const line: CommandLine = ['load', '--model', 'golden/tiny-c', '--transcoders', SET_REPO];
    await refused(
      hub.root,
      line,
      { exitCode: 3, code: 'not_authorised', says: ['golden/tiny-c'], next: /./ },
      online(),
    );
  });

  it('that does not know the revision says so', async () => {
    const line: CommandLine = [...LOAD, '--revision', 'v9'];
    await refused(
      hub.root,
      line,
      { exitCode: 3, code: 'revision_not_found', says: ['v9'], next: /./ },
      online(),
    );
  });

  it('that wants the terms accepted is answered with the page and the ways to give a token', async () => {
    hub.server.commit('golden/gated', filesOf(goldenPath('tiny-a', 'model')), { gatedFor: ['hf_right'] });
    const line: CommandLine = ['load', '--model', 'golden/gated', '--transcoders', SET_REPO];
    await refused(hub.root, line, { exitCode: 3, code: 'gated', says: ['golden/gated'], next: /HF_TOKEN/ }, online()); // prettier-ignore
  });
});
