import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, describe, expect, it } from '@jest/globals';
import { UsageError } from '../../src/errors.ts';
import { readHubEnvironment } from '../../src/hub/environment.ts';

const folder = mkdtempSync(join(tmpdir(), 'tracer-hub-environment-'));
afterAll(() => rmSync(folder, { recursive: true }));

const SECRET = 'hf_veryverysecret';

describe('the environment', () => {
  it('unset means the public Hub and the cache in the home folder', () => {
    const { endpoint, offline, cacheDir, stallMs } = readHubEnvironment({}, {});
    expect({ endpoint, offline, cacheDir, stallMs }).toEqual({
      endpoint: 'https://huggingface.co',
      offline: false,
      cacheDir: join(homedir(), '.cache/huggingface/hub'),
      stallMs: 10_000,
    });
  });

  it.each([
    [{ XDG_CACHE_HOME: '/xdg' }, '/xdg/huggingface/hub'],
    [{ XDG_CACHE_HOME: '/xdg', HF_HOME: '/home' }, '/home/hub'],
    [{ HF_HOME: '/home', HUGGINGFACE_HUB_CACHE: '/old' }, '/old'],
    [{ HF_HOME: '/home', HUGGINGFACE_HUB_CACHE: '/old', HF_HUB_CACHE: '/new' }, '/new'],
    [{ HF_HUB_CACHE: '~/cache' }, join(homedir(), 'cache')],
    [{ HF_HOME: '$DISK/${USER_NAME}/hf', DISK: '/disk', USER_NAME: 'me' }, '/disk/me/hf/hub'],
  ])('%j puts the cache into %s', (env, expected) => {
    expect(readHubEnvironment({}, env).cacheDir).toBe(expected);
  });

  it('gives way to flags', () => {
    const env = { HF_HUB_CACHE: '/new', HF_HUB_OFFLINE: '1' };
    const { cacheDir, offline } = readHubEnvironment({ cacheDir: '/flag', offline: false }, env);
    expect({ cacheDir, offline }).toEqual({ cacheDir: '/flag', offline: false });
  });

  it.each(['1', 'on', 'YES', 'True'])('HF_HUB_OFFLINE=%s switches the network off', (value) => {
    expect(readHubEnvironment({}, { HF_HUB_OFFLINE: value }).offline).toBe(true);
  });

  it.each(['0', 'no', '', 'off'])("HF_HUB_OFFLINE='%s' leaves it on", (value) => {
    expect(readHubEnvironment({}, { HF_HUB_OFFLINE: value }).offline).toBe(false);
  });

  it('HF_HUB_DOWNLOAD_TIMEOUT counts seconds, and must be a number', () => {
    expect(readHubEnvironment({}, { HF_HUB_DOWNLOAD_TIMEOUT: '30' }).stallMs).toBe(30_000);
    expect(() => readHubEnvironment({}, { HF_HUB_DOWNLOAD_TIMEOUT: 'soon' })).toThrow(UsageError);
  });

  it('HF_ENDPOINT must be a plain address', () => {
    expect(readHubEnvironment({}, { HF_ENDPOINT: 'http://hub.example/' }).endpoint).toBe(
      'http://hub.example',
    );
    for (const bad of ['hub', 'ftp://hub', 'https://me:secret@hub.example']) {
      expect(() => readHubEnvironment({}, { HF_ENDPOINT: bad })).toThrow(UsageError);
    }
  });
});

describe('the access token', () => {
  const home = join(folder, 'home');
  mkdirSync(home);
  writeFileSync(join(home, 'token'), `  ${SECRET}-stored\n`);
  const elsewhere = join(folder, 'token-elsewhere');
  writeFileSync(elsewhere, `${SECRET}-elsewhere`);
  const authorization = (env: Record<string, string>) => readHubEnvironment({}, env).token()?.authorization();

  it('is HF_TOKEN, else the file of HF_TOKEN_PATH, else the one in HF_HOME', () => {
    expect(authorization({ HF_TOKEN: ` ${SECRET}\n`, HF_HOME: home })).toBe(`Bearer ${SECRET}`);
    expect(authorization({ HF_TOKEN: '', HF_TOKEN_PATH: elsewhere, HF_HOME: home })).toBe(
      `Bearer ${SECRET}-elsewhere`,
    );
    expect(authorization({ HF_HOME: home })).toBe(`Bearer ${SECRET}-stored`);
    expect(authorization({ HF_HOME: join(folder, 'nothing') })).toBeUndefined();
  });

  it('is not sent when HF_HUB_DISABLE_IMPLICIT_TOKEN is set', () => {
    expect(authorization({ HF_TOKEN: SECRET, HF_HUB_DISABLE_IMPLICIT_TOKEN: '1' })).toBeUndefined();
  });

  it('shows where it came from and never what it is', () => {
    const token = readHubEnvironment({}, { HF_TOKEN: SECRET }).token();
    const shown = [String(token), inspect(token, { showHidden: true }), JSON.stringify({ token })].join(' ');
    expect(shown).toContain('HF_TOKEN');
    expect(shown).not.toContain(SECRET);
  });

  it('with a line break inside is refused without being quoted', () => {
    const read = () => readHubEnvironment({}, { HF_TOKEN: `${SECRET}\nmore` }).token();
    expect(read).toThrow(UsageError);
    expect(read).not.toThrow(new RegExp(SECRET));
  });
});
