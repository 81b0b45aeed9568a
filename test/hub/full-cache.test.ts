/** A cache that has all that is wanted is enough, whatever the Hub answers, and however it is away. */
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { NetworkError } from '../../src/errors.ts';
import { HubClient, resolveFiles, resolveUris, type ResolveFilesOptions } from '../../src/hub/resolve.ts';
import { readHubEnvironment } from '../../src/hub/environment.ts';
import type { Fault } from '../support/hub-faults.ts';
import { errorOf, HubFixture, QUICK, REPO } from './setup.ts';

const SET = 'owner/set';
const LINKED = 'google/scope';
const SHORT_TRY_MS = 300;
/** The short try, and what a busy machine adds; the tries that it stands for take minutes. */
const SOON_MS = 10_000;

/** A model, a set and a repository that the set lists files of, all of it fetched. */
async function startFull(): Promise<{ hub: HubFixture; commit: string }> {
  const hub = await HubFixture.start();
  const commit = hub.server.commit(REPO, { 'config.json': '{}', 'model.safetensors': 'weights' });
  hub.server.commit(SET, { 'config.yaml': 'x: 1' });
  hub.server.commit(LINKED, { 'l0/params.npz': 'layer' });
  await resolveAll(hub.client());
  hub.server.requests.length = 0;
  return { hub, commit };
}

/** As a command does: model, set, and what the set lists. Their contents' paths. */
async function resolveAll(client: HubClient): Promise<string[]> {
  const model = await fetchModel(client);
  const set = await resolveFiles({ kind: 'hub', repo: SET }, { wanted: ['config.yaml'], client });
  const [linked] = await resolveUris([`hf://${LINKED}/l0/params.npz`], { client });
  return [model.path('model.safetensors'), set.path('config.yaml'), linked!.path()];
}

function fetchModel(client: HubClient, options: Partial<ResolveFilesOptions> = {}) {
  return resolveFiles({ kind: 'hub', repo: REPO }, { wanted: () => true, client, ...options });
}

const status = (code: number, errorCode?: string): Fault => ({
  kind: 'status',
  status: code,
  ...(errorCode !== undefined && { headers: { 'x-error-code': errorCode } }),
});

describe('With everything in the cache, a command goes on with one warning', () => {
  it.each<[string, Fault]>([
    ['401 of a private or deleted repository', status(401, 'RepoNotFound')],
    ['401 without a reason', status(401)],
    ['403 of a gated repository', status(403, 'GatedRepo')],
    ['403 without a reason', status(403)],
    ['404 of a repository', status(404, 'RepoNotFound')],
    ['404 of a revision', status(404, 'RevisionNotFound')],
    ['404 without a reason', status(404)],
    ['410', status(410)],
    ['451', status(451)],
    ['a page of a network that wants a sign-in', { kind: 'page', text: '<html>Sign in</html>' }],
    ['an answer without end', { kind: 'flood', bytes: 65 * 2 ** 20 }],
  ])('after a refusal of each repository: %s', async (_, fault) => {
    const { hub, commit } = await startFull();
    await using _hub = hub;
    hub.server.inject('hub ', fault, 1000);
    expect(await resolveAll(hub.client({ token: 'hf_expired' }))).toHaveLength(3);
    expect(hub.notices).toEqual([
      expect.stringContaining(`Using owner/model at commit ${commit} from the cache`),
    ]);
    expect(hub.server.requests).toHaveLength(3);
  });

  it.each<[string, Fault]>([
    ['500', status(500)],
    ['503', status(503)],
    ['429', { kind: 'status', status: 429, headers: { 'retry-after': '100' } }],
    ['silence', { kind: 'silence' }],
  ])('after one try in all: %s', async (_, fault) => {
    const { hub } = await startFull();
    await using _hub = hub;
    hub.server.inject('hub ', fault, 1000);
    const fromMs = performance.now();
    expect(await resolveAll(hub.client({ shortTryMs: SHORT_TRY_MS }))).toHaveLength(3);
    expect(performance.now() - fromMs).toBeLessThan(SOON_MS);
    expect(hub.notices).toHaveLength(1);
    expect(hub.server.requests).toHaveLength(1);
  });

  it.each([
    ['a name that is not known', 'http://no-such-host.invalid', {}],
    ['a port that is closed', 'http://127.0.0.1:1', {}],
    ['a proxy that is not there', 'http://hub.example', { HTTP_PROXY: 'http://127.0.0.1:1' }],
    ['a variable that names no proxy', 'http://hub.example', { HTTP_PROXY: 'ftp://proxy' }],
    ['a token that cannot be sent', undefined, { HF_TOKEN: 'hf_with space' }],
  ])('when no request can be made: %s', async (_, endpoint, env) => {
    const { hub } = await startFull();
    await using _hub = hub;
    const variables = { ...hub.environment(), ...(endpoint && { HF_ENDPOINT: endpoint }), ...env };
    const notices: string[] = [];
    const onNotice = (text: string) => void notices.push(text);
    const client = new HubClient(readHubEnvironment({}, variables), { retry: QUICK, onNotice });
    expect(await resolveAll(client)).toHaveLength(3);
    expect(notices).toHaveLength(1);
  });

  it('when a server takes the connection and says nothing, and when it says its answer letter by letter', async () => {
    const { hub } = await startFull();
    await using _hub = hub;
    const talks = [
      () => undefined,
      (write: (text: string) => void) => setInterval(() => write(' '), 50).unref(),
    ];
    for (const talk of talks) {
      const server = createServer((socket) => {
        socket.on('error', () => undefined);
        socket.write('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n');
        talk((text) => socket.write(text));
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const { port } = server.address() as AddressInfo;
      const variables = { ...hub.environment(), HF_ENDPOINT: `http://127.0.0.1:${port}` };
      const client = new HubClient(readHubEnvironment({}, variables), {
        retry: { shortTryMs: SHORT_TRY_MS },
      });
      const fromMs = performance.now();
      expect(await resolveAll(client)).toHaveLength(3);
      expect(performance.now() - fromMs).toBeLessThan(SOON_MS);
      server.close();
    }
  });
});

describe('With something missing in the cache, the refusal stays', () => {
  it('of a repository that was never fetched', async () => {
    const { hub } = await startFull();
    await using _hub = hub;
    hub.server.inject('hub ', status(401), 1000);
    const error = await errorOf(
      resolveFiles({ kind: 'hub', repo: 'owner/other' }, { wanted: () => true, client: hub.client() }),
    );
    expect(error).toMatchObject({ exitCode: 3, code: 'not_authorised' });
    expect(hub.notices).toEqual([]);
  });

  it.each<[string, Fault, number]>([
    ['401', status(401), 3],
    ['404', status(404), 3],
    ['503', status(503), 69],
    ['silence', { kind: 'silence' }, 69],
  ])('as it is, when the files that are there are not enough: %s', async (_, fault, exitCode) => {
    const { hub } = await startFull();
    await using _hub = hub;
    hub.server.inject('hub ', fault, 1000);
    const client = hub.client({ stallMs: SHORT_TRY_MS, shortTryMs: SHORT_TRY_MS });
    const uris = [`hf://${LINKED}/l0/params.npz`, `hf://${LINKED}/l1/params.npz`];
    expect(await errorOf(resolveUris(uris, { client }))).toMatchObject({ exitCode });
    const isEnough = (): boolean => false;
    expect(await errorOf(fetchModel(client, { isEnough }))).toMatchObject({ exitCode });
    expect(hub.notices.filter((text) => text.includes('from the cache'))).toEqual([]);
  });

  it('and a fault that passes is got over, since nothing stands in for what is missing', async () => {
    const { hub, commit } = await startFull();
    await using _hub = hub;
    hub.server.inject('hub ', status(503), 3);
    const found = await fetchModel(hub.client(), { isEnough: () => false });
    expect(found).toMatchObject({ source: { commit }, isComplete: true });
  });

  it('and is what a file that turns out to be missing is answered with', async () => {
    const { hub } = await startFull();
    await using _hub = hub;
    hub.server.inject('hub ', status(403, 'GatedRepo'), 1000);
    const found = await fetchModel(hub.client());
    expect(() => found.path('generation_config.json')).toThrow(expect.objectContaining({ code: 'gated' }));
  });
});

describe('A branch that has moved', () => {
  const newer = { 'config.json': '{"newer": true}', 'model.safetensors': 'other weights, larger ones' };

  it('is followed where its files may be fetched', async () => {
    const { hub } = await startFull();
    await using _hub = hub;
    const commit = hub.server.commit(REPO, newer);
    for (const dryRun of [true, false]) {
      expect((await fetchModel(hub.client(), { dryRun })).source).toMatchObject({ commit });
    }
    expect(hub.notices).toEqual([]);
  });

  it.each<[string, string, Fault]>([
    ['the list is refused', 'hub ', status(401)],
    ['only its files are refused, as those of a gated repository are', '/resolve/', status(403, 'GatedRepo')],
    ['the content network is away', 'cdn ', status(503)],
  ])('stays at the commit that is here when %s', async (_, match, fault) => {
    const { hub, commit } = await startFull();
    await using _hub = hub;
    hub.server.commit(REPO, newer);
    hub.server.inject(match, fault, 1000);
    const client = hub.client();
    const found = await fetchModel(client, { dryRun: true });
    expect(found.source).toMatchObject({ commit });
    expect(found.files.map((file) => file.status)).toEqual(['cached', 'cached']);
    expect(hub.notices).toHaveLength(1);
    // The whole run keeps to it, even where the Hub answers later.
    hub.server.recover();
    expect((await fetchModel(client, { wanted: ['config.json'] })).source).toMatchObject({ commit });
  });

  it('is refused where the cache is not enough', async () => {
    const { hub } = await startFull();
    await using _hub = hub;
    hub.server.commit(REPO, newer);
    hub.server.inject('/resolve/', status(403, 'GatedRepo'), 1000);
    const refused = fetchModel(hub.client(), { isEnough: () => false });
    expect(await errorOf(refused)).toMatchObject({ exitCode: 3, code: 'gated' });
  });
});

describe('While the Hub is away', () => {
  it('what can be done without is not asked for, what cannot is', async () => {
    const { hub } = await startFull();
    await using _hub = hub;
    hub.server.inject('hub ', status(503), 1);
    const client = hub.client();
    await fetchModel(client);
    const before = hub.server.requests.length;
    const optional = resolveUris([`hf://${SET}/features/index.json.gz`], { client, tries: 'unless_away' });
    expect(await errorOf(optional)).toBeInstanceOf(NetworkError);
    expect(hub.server.requests).toHaveLength(before);
    hub.server.commit('owner/third', { 'a.txt': 'x' });
    const needed = await resolveUris(['hf://owner/third/a.txt'], { client });
    expect(needed).toHaveLength(1);
  });
});
