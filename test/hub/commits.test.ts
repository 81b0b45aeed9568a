/** Commits named by their first digits: found in a cache that Python filled, and left there as Python looks for them. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { namesCommit, resolveFiles, resolveUri, resolveUris } from '../../src/hub/resolve.ts';
import { errorOf, HubFixture, REPO } from './setup.ts';

const FILES = { 'config.json': '{}', 'model.safetensors': 'weights' };
const DIGITS = 12;

function fetchAt(hub: HubFixture, revision: string, offline = false) {
  const client = hub.client({ offline });
  return resolveFiles({ kind: 'hub', repo: REPO, revision }, { wanted: () => true, client });
}

/** A snapshot as Python leaves it after fetching a branch. */
function leaveSnapshot(hub: HubFixture, commit: string): void {
  const folder = join(hub.cacheDir, 'models--owner--model/snapshots', commit);
  mkdirSync(folder, { recursive: true });
  for (const [name, content] of Object.entries(FILES)) writeFileSync(join(folder, name), content);
}

describe('A shortened commit', () => {
  it('is looked up once, and remembered by the name that Python gives it', async () => {
    await using hub = await HubFixture.start();
    const commit = hub.server.commit(REPO, FILES);
    const short = commit.slice(0, DIGITS);
    hub.server.commit(REPO, { 'config.json': 'newer' });
    hub.server.shorten = true;
    expect((await fetchAt(hub, short)).source).toMatchObject({ revision: short, commit });
    const name = join(hub.cacheDir, 'models--owner--model/refs', short);
    expect(readFileSync(name, 'utf8')).toBe(commit);
    expect(hub.server.seen('/revision/')).toHaveLength(1);
    await fetchAt(hub, short);
    expect(hub.server.seen('/revision/')).toHaveLength(1);
    expect((await fetchAt(hub, short, true)).source).toMatchObject({ commit });
  });

  it('is found in a snapshot that begins with it, offline and without a question to the Hub', async () => {
    await using hub = await HubFixture.start();
    const commit = hub.server.commit(REPO, FILES);
    const short = commit.slice(0, DIGITS);
    leaveSnapshot(hub, commit);
    const found = await fetchAt(hub, short, true);
    expect(found.source).toMatchObject({ revision: short, commit });
    expect(readFileSync(found.path('model.safetensors'), 'utf8')).toBe('weights');
    const file = await resolveUri(`hf://${REPO}/config.json@${short}`, { client: hub.client() });
    expect(file.file.status).toBe('cached');
    expect(hub.server.requests).toEqual([]);
  });

  it('that two snapshots begin with names neither of them', async () => {
    await using hub = await HubFixture.start();
    leaveSnapshot(hub, `abcdef1${'0'.repeat(33)}`);
    leaveSnapshot(hub, `abcdef1${'1'.repeat(33)}`);
    expect(await errorOf(fetchAt(hub, 'abcdef1', true))).toMatchObject({ exitCode: 69, code: 'offline' });
    expect((await fetchAt(hub, 'abcdef10', true)).source).toMatchObject({
      commit: `abcdef1${'0'.repeat(33)}`,
    });
  });

  it('is told from a branch whose name has the same letters', async () => {
    await using hub = await HubFixture.start();
    const commit = hub.server.commit(REPO, FILES, { revisions: ['deadbeef'] });
    await fetchAt(hub, 'deadbeef');
    expect(namesCommit('deadbeef', commit)).toBe(false);
    await fetchAt(hub, 'deadbeef');
    expect(hub.server.seen('/revision/')).toHaveLength(2); // it may have moved
    expect(namesCommit(commit.slice(0, 7), commit)).toBe(true);
    expect(namesCommit(commit.slice(0, 6), commit)).toBe(false);
    expect(namesCommit('main', commit)).toBe(false);
  });
});

it('files of other repositories are taken at the revisions that are given for these, unless their address has one', async () => {
  await using hub = await HubFixture.start();
  const old = hub.server.commit('google/scope', { 'l0.npz': 'old' });
  const now = hub.server.commit('google/scope', { 'l0.npz': 'now' });
  const uris = ['hf://google/scope/l0.npz', `hf://google/scope/l0.npz@${now}`];
  const revisions = { 'google/scope': old };
  const found = await resolveUris(uris, { client: hub.client(), revisions });
  expect(found.map(({ source }) => source.commit)).toEqual([old, now]);
});
