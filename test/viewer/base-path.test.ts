/** Behind a reverse proxy that shows the server under a path of its own, as Jupyter's and JupyterHub's do. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parseBasePath, withoutBase } from '../../src/viewer/base-path.ts';
import type { GraphList } from '../../src/viewer/api.ts';
import { answer, ask, errorCode, NO_ANNOTATIONS, openedViewer, type OpenedViewer } from './opened.ts';

const SLUG = 'graph-plt-jumprelu-p2';
const BASE = '/user/x/proxy/8000/';
const HUB = 'hub.example.org';

describe('a viewer with a base path', () => {
  let opened: OpenedViewer;
  beforeAll(async () => {
    opened = await openedViewer(undefined, { basePath: BASE, allowedHosts: [HUB] });
  });
  afterAll(async () => opened[Symbol.asyncDispose]());

  it('prints it, and the printed address opens the page', async () => {
    const { address, port, token } = opened.viewer;
    expect(address).toBe(`http://127.0.0.1:${port}${BASE}?token=${token}`);
    const page = await fetch(address);
    expect(page.status).toBe(200);
    const html = await page.text();
    for (const [, link] of html.matchAll(/(?:src|href)="([^"]+)"/g)) {
      const asset = await fetch(new URL(link!, address));
      expect({ link, status: asset.status }).toEqual({ link, status: 200 });
      expect(new URL(link!, address).pathname.startsWith(BASE)).toBe(true);
    }
  });

  it('answers requests with the path and those that a proxy has taken it out of', async () => {
    for (const base of ['/', BASE]) {
      expect((await opened.ask(base)).text).toMatch(/<title>tracer<\/title>/);
      const { graphs } = answer<GraphList>(await opened.ask(`${base}api/graphs`));
      expect(graphs.length).toBeGreaterThan(0);
      expect((await opened.ask(`${base}api/graphs/${SLUG}/export.json`)).status).toBe(200);
      const address = `${base}api/graphs/${SLUG}/annotations`;
      expect((await opened.send('PUT', address, NO_ANNOTATIONS)).status).toBe(200);
      expect((await opened.send('PUT', `${base}api/info`, {})).status).toBe(405);
      expect((await opened.ask(`${base}nowhere`)).status).toBe(404);
    }
  });

  it('leads to the page where the slash at the end is missing, and keeps the token', async () => {
    const reply = await opened.ask('/user/x/proxy/8000?token=abc&slug=x');
    expect(reply.status).toBe(302);
    expect(reply.headers.location).toBe(`${BASE}?token=abc&slug=x`);
  });

  it('sets a cookie that other programs under that name do not get', async () => {
    const { port, token } = opened.viewer;
    for (const place of [`/?token=${token}`, `${BASE}?token=${token}`]) {
      const [cookie] = (await ask(port, place, { headers: { host: HUB } })).headers['set-cookie']!;
      expect(cookie).toContain(`; Path=${BASE}`);
    }
  });

  it('guards its writing routes under both paths', async () => {
    for (const base of ['/', BASE]) {
      const reply = await ask(opened.viewer.port, `${base}api/jobs`, { method: 'POST' });
      expect([reply.status, errorCode(reply)]).toEqual([401, 'token_needed']);
    }
  });

  it('may be linked to, its answers may not', async () => {
    const headers = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', host: HUB };
    expect((await opened.ask(`${BASE}?slug=x`, { headers })).status).toBe(200);
    expect((await opened.ask(`${BASE}api/graphs`, { headers })).status).toBe(403);
  });

  it('answers to the name of the proxy, whose page may ask and no other', async () => {
    const asked = (host: string, origin: string) =>
      opened.ask(`${BASE}api/graphs`, { headers: { host, origin } });
    for (const [host, origin] of [
      [HUB, `https://${HUB}`],
      [`${HUB}:443`, `https://${HUB}`],
      [`${HUB}:8443`, `https://${HUB}:8443`],
      ['localhost:8888', 'http://localhost:8888'],
      ['localhost:8888', 'https://localhost:8888'],
    ] as const) {
      expect((await asked(host, origin)).status).toBe(200);
    }
    for (const [host, origin] of [
      [HUB, 'https://elsewhere.example'],
      [HUB, `https://${HUB}:8443`],
      [HUB, `https://x.${HUB}`],
      ['127.0.0.1:8000', `https://${HUB}`],
      ['elsewhere.example', 'https://elsewhere.example'],
    ] as const) {
      expect((await asked(host, origin)).status).toBe(403);
    }
  });

  it.each([`${BASE}..%2f..%2fetc/passwd`, `${BASE}../../../../etc/passwd`, `/user/x/proxy/8001/api/graphs`])(
    'makes no path to elsewhere: %s',
    async (address) => {
      expect([400, 404]).toContain((await opened.ask(address)).status);
    },
  );
});

describe('a base path', () => {
  it('is written with or without its slashes', () => {
    for (const text of ['/a/b/', '/a/b', 'a/b', 'a/b/']) expect(parseBasePath(text)).toBe('/a/b/');
    for (const text of ['/', '']) expect(parseBasePath(text)).toBe('/');
    expect(parseBasePath('/user/jürgen/')).toBe('/user/j%C3%BCrgen/');
    expect(parseBasePath('/proxy/node7:8000/')).toBe('/proxy/node7:8000/');
  });

  it.each([
    'https://hub.example.org/x/',
    '//x',
    '/a//b/',
    '/a/../b',
    '/./',
    '/a?b',
    '/a#b',
    '/a;b',
    '/a\\b',
    '/a b',
  ])('is a path alone: %s', (text) => {
    expect(() => parseBasePath(text)).toThrow(expect.objectContaining({ code: 'bad_value', exitCode: 2 }));
  });

  it('is none of the paths of the server itself', () => {
    for (const text of ['/api/', 'assets', '/api/graphs/']) {
      expect(() => parseBasePath(text)).toThrow(expect.objectContaining({ code: 'bad_value', exitCode: 2 }));
    }
    expect(parseBasePath('/tracer/api/')).toBe('/tracer/api/');
  });

  it('is found in a request however its characters are written', () => {
    for (const base of ['/user/x%40y/', '/user/x@y/']) {
      for (const path of ['/user/x%40y/api', '/user/x@y/api', '/api'])
        expect(withoutBase(base)(path)).toBe('/api');
      expect(withoutBase(base)('/user/x@yz/api')).toBe('/user/x@yz/api');
      expect(withoutBase(base)('/user/x@y')).toBe('/user/x@y');
    }
    expect(withoutBase('/')('/api/%')).toBe('/api/%');
  });
});
