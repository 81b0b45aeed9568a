/** Mirrors, redirects and answers that are no answers: what stays at the endpoint, and what does not go elsewhere. */
import { describe, expect, it } from '@jest/globals';
import { nextPageOf } from '../../src/hub/next-page.ts';
import { resolveFiles, resolveUris } from '../../src/hub/resolve.ts';
import type { Fault } from '../support/hub-faults.ts';
import { errorOf, HubFixture, REPO } from './setup.ts';

const TOKEN = 'hf_secret';
const FILES = Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`f${i}.txt`, `content ${i}`]));

function fetchAll(hub: HubFixture) {
  const client = hub.client({ token: TOKEN });
  return resolveFiles({ kind: 'hub', repo: REPO }, { wanted: () => true, client });
}

describe('The next page of a listing', () => {
  it.each<[string, (place: string) => string]>([
    ['on huggingface.co', (place) => `<https://huggingface.co${place}>; rel="next"`],
    ['with another scheme and port', (place) => `<http://huggingface.co:8080${place}>; rel="next"`],
    ['without a scheme', (place) => `<//huggingface.co${place}>; rel="next"`],
    ['as a path alone', (place) => `<${place}>; rel="next"`],
    ['below another folder', (place) => `<https://upstream.example/hf${place}>; rel="next"`],
    ['without quotes', (place) => `<https://huggingface.co${place}>;rel=next`],
    ['among others', (place) => `<https://h/first>; rel="first", <https://h${place}>; title="a"; rel="next"`],
  ])('is asked of the endpoint when the link names it %s', async (_, linkTo) => {
    for (const base of ['', '/mirrors/hub']) {
      await using hub = await HubFixture.start();
      hub.server.base = base;
      hub.server.linkTo = linkTo;
      hub.server.commit(REPO, FILES);
      const { files } = await fetchAll(hub);
      expect(files).toHaveLength(10);
      expect(hub.server.seen('/tree/')).toHaveLength(4);
      for (const { path, authorization } of hub.server.seen('hub ')) {
        expect(path.startsWith(`${base}/`)).toBe(true);
        expect(authorization).toBe(`Bearer ${TOKEN}`);
      }
    }
  });

  it('of a mirror below a folder may be named with that folder', () => {
    const [endpoint, asked] = ['http://m/hf', 'http://m/hf/api/models/a/b/tree/x'];
    const next = (target: string): string | undefined =>
      nextPageOf(`<${target}>; rel="next"`, asked, endpoint);
    expect(next('http://m/hf/api/models/a/b/tree/x?cursor=1')).toBe(
      'http://m/hf/api/models/a/b/tree/x?cursor=1',
    );
    expect(next('?cursor=1')).toBe('http://m/hf/api/models/a/b/tree/x?cursor=1');
    expect(nextPageOf('<http://m/x>; rel="prev"', asked, endpoint)).toBeUndefined();
    expect(nextPageOf(null, asked, endpoint)).toBeUndefined();
  });

  it('that leads back to an earlier one is an answer that cannot be used', async () => {
    await using hub = await HubFixture.start();
    hub.server.commit(REPO, FILES);
    hub.server.linkTo = (place) => `<${place.replace(/cursor=\d+/, 'cursor=3')}>; rel="next"`;
    expect(await errorOf(fetchAll(hub))).toMatchObject({ exitCode: 4, code: 'bad_answer' });
    expect(hub.server.seen('/tree/')).toHaveLength(2);
  });
});

describe('A redirect', () => {
  const to = (location: string, status: number): Fault => ({
    kind: 'status',
    status,
    headers: { location },
  });

  it.each([301, 302, 303, 307, 308])(
    '(%s) to another origin carries neither body nor token',
    async (status) => {
      await using hub = await HubFixture.start();
      hub.server.commit(REPO, FILES);
      hub.server.inject('/paths-info/', to(`${hub.server.elsewhere}/taken`, status), 100);
      const asked = resolveUris([`hf://${REPO}/f1.txt`], { client: hub.client({ token: TOKEN }) });
      expect(await errorOf(asked)).toMatchObject({
        exitCode: 69,
        code: 'request_refused',
        message: expect.stringContaining(hub.server.elsewhere),
      });
      expect(hub.server.seen('cdn ')).toEqual([]);
    },
  );

  it('within the origin, as after a repository was renamed, carries both', async () => {
    await using hub = await HubFixture.start();
    hub.server.commit('owner/renamed', FILES);
    const commit = hub.server.commit(REPO, FILES);
    hub.server.inject('/paths-info/', to(`/api/models/owner/renamed/paths-info/${commit}`, 307));
    await resolveUris([`hf://${REPO}/f1.txt`], { client: hub.client({ token: TOKEN }) });
    const [, followed] = hub.server.seen('/paths-info/');
    expect(followed).toMatchObject({ authorization: `Bearer ${TOKEN}`, body: '{"paths":["f1.txt"]}' });
  });

  it('that comes back from another origin comes without the token', async () => {
    await using hub = await HubFixture.start();
    hub.server.commit(REPO, { 'a.txt': 'a' });
    hub.server.inject('hub GET /owner', to(`${hub.server.elsewhere}/detour`, 302));
    hub.server.inject('cdn ', to(`${hub.server.endpoint}/${REPO}/resolve/main/a.txt`, 302));
    await fetchAll(hub);
    const [first, back] = hub.server.seen('hub GET /owner');
    expect([first?.authorization, back?.authorization]).toEqual([`Bearer ${TOKEN}`, undefined]);
    expect(hub.server.seen('cdn ')[0]?.authorization).toBeUndefined();
  });

  it.each(['file:///etc/passwd', 'ftp://hub.example/x', 'http://[', 'data:,x'])(
    'to %s is refused at once',
    async (location) => {
      await using hub = await HubFixture.start();
      hub.server.commit(REPO, FILES);
      hub.server.inject('/api/', to(location, 302), 100);
      expect(await errorOf(fetchAll(hub))).toMatchObject({ exitCode: 69, code: 'request_refused' });
      expect(hub.server.requests).toHaveLength(1);
    },
  );
});

describe('An answer', () => {
  it('that is larger than any description is refused, and says so', async () => {
    await using hub = await HubFixture.start();
    hub.server.commit(REPO, FILES);
    hub.server.inject('/tree/', { kind: 'flood', bytes: 65 * 2 ** 20 });
    expect(await errorOf(fetchAll(hub))).toMatchObject({
      exitCode: 4,
      code: 'answer_too_large',
      message: expect.stringContaining('more than 64 MiB'),
    });
  });

  it('of a few MB is fine', async () => {
    await using hub = await HubFixture.start();
    hub.server.commit(REPO, FILES);
    hub.server.inject('/tree/', { kind: 'flood', bytes: 8 * 2 ** 20 });
    expect((await fetchAll(hub)).files).toEqual([]);
  });
});
