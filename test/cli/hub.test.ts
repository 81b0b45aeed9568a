/** Commands on models and sets that come from a Hub: one on loopback, that answers, refuses or is silent. */
import {
  cpSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { userInfo } from 'node:os';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Fault } from '../support/hub-faults.ts';
import { IS_FULL } from '../support/golden.ts';
import { HubServer } from '../support/hub-server.ts';
import { tracer } from './shared.ts';
import { envelope, FIXTURE, type Finished } from './start.ts';

const folder = mkdtempSync(join(tmpdir(), 'tracer-cli-hub-'));
const cache = join(folder, 'cache');
const NAMES = ['--model', 'acme/model', '--transcoders', 'acme/set'];
/** Four seconds for the one try, and what a command takes on a busy machine. */
const SOON_MS = 15_000;

let server: HubServer;
let commit: string;
beforeAll(async () => {
  server = await HubServer.start();
  commit = server.commit('acme/model', filesOf(join(FIXTURE, 'model')));
  server.commit('acme/set', filesOf(join(FIXTURE, 'transcoders/plt-jumprelu')));
  const loaded = await hub(['load', ...NAMES, '--json']);
  expect({ exitCode: loaded.exitCode, stdout: loaded.stdout.slice(0, 500) }).toMatchObject({ exitCode: 0 });
});
afterEach(() => server.recover());
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

function filesOf(path: string): Record<string, Buffer> {
  return Object.fromEntries(readdirSync(path).map((name) => [name, readFileSync(join(path, name))]));
}

function hub(args: readonly string[], env: Record<string, string> = {}): Promise<Finished> {
  const variables = { HF_HUB_OFFLINE: '', HF_ENDPOINT: server.endpoint, HF_HUB_CACHE: cache };
  return tracer(args, { env: { ...variables, HF_HOME: join(folder, 'home'), ...env } });
}

const warnings = ({ stderr }: Finished): string[] =>
  stderr.split('\n').filter((line) => line.startsWith('warning: '));

describe('With a full cache', () => {
  const COMMANDS = [
    ['run', 'Hi there', ...NAMES, '--device', 'wasm', '--json'],
    ['inspect', '--layer', '0', '--feature', '3', ...NAMES, '--device', 'wasm', '--json'],
    ['load', ...NAMES, '--json'],
  ];

  it.each<[string, Fault]>([
    ['refuses access', { kind: 'status', status: 401 }],
    [
      'has no such repository any more',
      { kind: 'status', status: 404, headers: { 'x-error-code': 'RepoNotFound' } },
    ],
    ['is busy', { kind: 'status', status: 503 }],
    ['is silent', { kind: 'silence' }],
  ])('commands go on with one warning when the Hub %s', async (_, fault) => {
    // A silent Hub is waited for four seconds, each time.
    const commands = fault.kind === 'silence' && !IS_FULL ? COMMANDS.slice(0, 1) : COMMANDS;
    for (const command of commands) {
      server.inject('hub ', fault, 1000);
      const fromMs = performance.now();
      const finished = await hub(command, { HF_TOKEN: 'hf_expired' });
      expect({ command: command[0], exitCode: finished.exitCode }).toEqual({
        command: command[0],
        exitCode: 0,
      });
      expect(performance.now() - fromMs).toBeLessThan(SOON_MS);
      const [first, ...more] = warnings(finished);
      expect(first).toContain(`Using acme/model at commit ${commit} from the cache`);
      // What is not needed and not here (the page of a feature) may have a line of its own.
      expect(more.filter((line) => !line.includes('no feature page'))).toEqual([]);
      server.recover();
    }
  });

  it('a proxy that never answers neither holds a command up nor keeps it from ending', async () => {
    server.inject('hub ', { kind: 'silence' }, 1000);
    const proxy = { HF_ENDPOINT: 'https://hub.example', HTTPS_PROXY: server.endpoint };
    const fromMs = performance.now();
    const finished = await hub(['load', ...NAMES, '--json'], proxy);
    expect(finished.exitCode).toBe(0);
    expect(performance.now() - fromMs).toBeLessThan(SOON_MS);
    expect(warnings(finished)).toHaveLength(1);
  });

  it('but without the set, the refusal is what it was', async () => {
    server.inject('hub ', { kind: 'status', status: 401 }, 1000);
    const finished = await hub(['load', '--model', 'acme/model', '--transcoders', 'acme/other', '--json']);
    expect(finished.exitCode).toBe(3);
    expect(envelope(finished).error?.code).toBe('not_authorised');
  });
});

describe('tracer load', () => {
  it('says what follows a branch, in words and in JSON', async () => {
    const pinned = ['--model', `acme/model@${commit}`, '--transcoders', 'acme/set'];
    const { sources } = envelope(await hub(['load', ...pinned, '--json'])).data as {
      sources: Record<string, unknown>;
    };
    expect(sources).toMatchObject({
      model: { repository: 'acme/model', revision: commit, commit, follows_branch: false },
      transcoders: { repository: 'acme/set', revision: 'main', follows_branch: true },
    });
    expect((await hub(['load', ...pinned])).stdout).toMatch(/^follows +acme\/set@main: /m);
    expect((await tracer(['load'])).stdout).not.toMatch(/^follows/m);
  });

  it('finds the pinned presets in a cache that Python filled, without a network', async () => {
    const python = join(folder, 'python');
    const snapshots = [
      ['models--google--gemma-2-2b', 'c5ebcd40d208330abc697524c919956e692655cf', 'model'],
      [
        'models--mwhanna--gemma-scope-transcoders',
        'bd5773156dea09893636c801df1237d0410307d2',
        'transcoders/plt-jumprelu',
      ],
    ] as const;
    for (const [name, hash, source] of snapshots) {
      cpSync(join(FIXTURE, source), join(python, name, 'snapshots', hash), { recursive: true });
    }
    const offline = { HF_HUB_OFFLINE: '1', HF_HUB_CACHE: python };
    const { sources } = envelope(await hub(['load', '--model', 'gemma', '--json'], offline)).data as {
      sources: Record<string, unknown>;
    };
    expect(sources).toMatchObject({
      model: { commit: snapshots[0][1], follows_branch: false },
      transcoders: { commit: snapshots[1][1], follows_branch: false },
    });
  });
});

const itOnLinux = process.platform === 'linux' ? it : it.skip;

itOnLinux('an empty HOME is that of the user database, for every folder', async () => {
  const unset = { HOME: '', XDG_DATA_HOME: '', XDG_CACHE_HOME: '', XDG_CONFIG_HOME: '', TRACER_DATA_DIR: '' };
  const { data } = envelope(await tracer(['doctor', '--json'], { env: { ...unset, HF_HOME: '' } }));
  const folders = data?.['folders'] as { name: string; path: string }[];
  const home = userInfo().homedir;
  expect(Object.fromEntries(folders.map(({ name, path }) => [name, path]))).toEqual({
    data: join(home, '.local/share/tracer'),
    hub_cache: join(home, '.cache/huggingface/hub'),
    tokenizer_cache: join(home, '.cache/tracer'),
  });
});

describe('An output that is a link to a file that is not there yet', () => {
  const places = join(folder, 'links');
  beforeAll(() =>
    cpSync(join(FIXTURE, 'transcoders/plt-jumprelu'), join(places, 'sub'), { recursive: true }),
  );

  it.each([
    ['run', '--save-activations', ['run', 'Hi there']],
    ['run', '--save-features', ['run', 'Hi there']],
    ['attribute', '--output', ['attribute', 'Hi there']],
    ['intervene', '--output', ['intervene', 'Hi there', '--set', '0:1:3=1']],
    ['generate', '--output', ['generate', 'Hi there', '--max-new-tokens', '1']],
  ])('of %s %s makes the target and keeps the link', async (command, flag, args) => {
    const name = `${command}${flag}`;
    symlinkSync(`sub/${name}.safetensors`, join(places, name));
    const finished = await tracer([...args, '--device', 'wasm', flag, name], { cwd: places });
    expect({ exitCode: finished.exitCode, stderr: finished.exitCode === 0 ? '' : finished.stderr }).toEqual({
      exitCode: 0,
      stderr: '',
    });
    expect(readlinkSync(join(places, name))).toBe(`sub/${name}.safetensors`);
    expect(lstatSync(join(places, 'sub', `${name}.safetensors`)).isFile()).toBe(true);
  });

  it('in a folder that is missing is refused before anything is computed', async () => {
    symlinkSync('gone/x.safetensors', join(places, 'broken'));
    const finished = await tracer(['attribute', 'Hi', '--output', 'broken', '--json'], { cwd: places });
    expect(finished.exitCode).toBe(5);
    expect(envelope(finished).error?.message).toContain('there is no folder');
    expect(readlinkSync(join(places, 'broken'))).toBe('gone/x.safetensors');
  });
});
