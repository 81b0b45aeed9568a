import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { networkInterfaces } from 'node:os';
import { hostName, ownNames } from '../../src/viewer/host-names.ts';
import {
  answer,
  ask,
  errorCode,
  NO_ANNOTATIONS,
  openedViewer,
  type OpenedViewer,
  type Reply,
} from './opened.ts';
import type { OpenedGraph } from '../../src/viewer/api.ts';

const SLUG = 'graph-plt-jumprelu-p2';
const JSON_TYPE = { 'content-type': 'application/json' };

function tokenOf(address: string): string {
  return new URL(address).searchParams.get('token')!;
}

function cookieOf({ headers }: Reply): string {
  return headers['set-cookie']![0]!.split(';')[0]!;
}

describe('a viewer on an address that was given', () => {
  it('lets nobody in without the token of its address', async () => {
    await using opened = await openedViewer(undefined, { host: '127.0.0.1' });
    const { address, port } = opened.viewer;
    const token = tokenOf(address);
    expect(token).toMatch(/^[\w-]{43}$/);
    const wrong = [
      '',
      '?token=',
      `?token=${token.slice(1)}`,
      `?token=${token}x`,
      `?token=${token.toUpperCase()}`,
    ];
    for (const query of wrong) {
      for (const place of ['/', '/api/graphs', '/assets/app.js']) {
        const reply = await ask(port, place + query);
        expect(reply.status).toBe(401);
        expect(errorCode(reply)).toBe('token_needed');
        expect(reply.text).not.toContain(token);
        expect(reply.headers).not.toHaveProperty('set-cookie');
      }
    }
    expect((await ask(port, `/api/graphs?token=${token}`)).status).toBe(200);
  });

  it('asks a browser for the token with a form that keeps what else was asked for', async () => {
    await using opened = await openedViewer(undefined, { host: '127.0.0.1' });
    const browser = { headers: { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' } };
    const slug = '"><script>alert(1)</script>';
    const reply = await ask(opened.viewer.port, `/?slug=${encodeURIComponent(slug)}&token=guessed`, browser);
    expect(reply.status).toBe(401);
    expect(reply.headers['content-type']).toMatch(/^text\/html/);
    expect(reply.headers).not.toHaveProperty('set-cookie');
    expect(reply.text).toContain('<input name="token"');
    expect(reply.text).toMatch(/name="slug" value="&quot;&gt;&lt;script&gt;/);
    expect(reply.text).not.toMatch(/<script|guessed/);
  });

  it('gives a cookie for the token that scripts cannot read and other sites cannot use', async () => {
    await using opened = await openedViewer(undefined, { host: '127.0.0.1' });
    const { address, port } = opened.viewer;
    const reply = await ask(port, `/api/info?token=${tokenOf(address)}`);
    const [cookie] = reply.headers['set-cookie']!;
    expect(cookie).toMatch(/; HttpOnly/);
    expect(cookie).toMatch(/; SameSite=Strict/);
    expect(cookie).toMatch(/; Path=\/(?:;|$)/);
    const value = cookieOf(reply);
    expect((await ask(port, '/api/graphs', { headers: { cookie: value } })).status).toBe(200);
    const other = value.replace(/=.*/, '=guessed');
    expect((await ask(port, '/api/graphs', { headers: { cookie: other } })).status).toBe(401);
  });

  it('takes the token of a program in the header that is meant for it', async () => {
    await using opened = await openedViewer(undefined, { host: '127.0.0.1' });
    const { address, port } = opened.viewer;
    const asked = (authorization: string) => ask(port, '/api/graphs', { headers: { authorization } });
    const token = tokenOf(address);
    for (const scheme of ['Bearer', 'bearer', 'token']) {
      expect((await asked(`${scheme} ${token}`)).status).toBe(200);
      expect((await asked(`${scheme} guessed`)).status).toBe(401);
    }
    for (const other of [token, `Basic ${token}`, `Bearer ${token} x`]) {
      expect((await asked(other)).status).toBe(401);
    }
  });

  it('still refuses foreign names and pages that have the token', async () => {
    await using opened = await openedViewer(undefined, { host: '127.0.0.1' });
    const { address, port } = opened.viewer;
    const place = `/api/graphs?token=${tokenOf(address)}`;
    for (const headers of [{ host: 'elsewhere.example' }, { origin: 'http://elsewhere.example' }]) {
      expect((await ask(port, place, { headers })).status).toBe(403);
    }
  });

  it('has another token each time', async () => {
    await using first = await openedViewer(undefined, { host: '127.0.0.1' });
    await using second = await openedViewer(undefined, { host: '127.0.0.1' });
    expect(tokenOf(first.viewer.address)).not.toBe(tokenOf(second.viewer.address));
  });
});

describe('a viewer on every address', () => {
  it('prints one that it can be reached by', async () => {
    await using opened = await openedViewer(undefined, { host: '0.0.0.0' });
    const { address } = opened.viewer;
    expect(new URL(address).hostname).not.toBe('0.0.0.0');
    expect((await fetch(address.replace('/?', '/api/info?'))).status).toBe(200);
  });
});

describe('a viewer without an address given', () => {
  let opened: OpenedViewer;
  beforeAll(async () => {
    opened = await openedViewer();
  });
  afterAll(async () => opened[Symbol.asyncDispose]());

  const annotations = `/api/graphs/${SLUG}/annotations`;
  const notesOf = async (): Promise<string> =>
    answer<OpenedGraph>(await ask(opened.viewer.port, `/api/graphs/${SLUG}`)).annotations.notes;
  const put = (notes: string, headers: Record<string, string>, query = '') =>
    ask(opened.viewer.port, annotations + query, {
      method: 'PUT',
      headers: { ...JSON_TYPE, ...headers },
      body: JSON.stringify({ ...NO_ANNOTATIONS, notes }),
    });

  it('listens on this machine only', async () => {
    const { address, port, token } = opened.viewer;
    expect(address).toBe(`http://127.0.0.1:${port}/?token=${token}`);
    const others = Object.values(networkInterfaces())
      .flatMap((list) => list ?? [])
      .filter(({ internal, family }) => !internal && family === 'IPv4');
    for (const other of others) {
      await expect(fetch(`http://${other.address}:${port}/api/info`)).rejects.toThrow();
    }
  });

  it('is read without the token, also with a wrong one', async () => {
    const places = [
      '/',
      '/api/info',
      '/api/graphs',
      `/api/graphs/${SLUG}`,
      `/api/graphs/${SLUG}/export.json`,
    ];
    for (const place of places) {
      for (const query of ['', '?token=guessed']) {
        const reply = await ask(opened.viewer.port, place + query);
        expect({ place, status: reply.status }).toEqual({ place, status: 200 });
        expect(reply.headers).not.toHaveProperty('set-cookie');
      }
    }
  });

  it('lets nobody write or run jobs without it, as every account of the machine can connect', async () => {
    const { port, token } = opened.viewer;
    const trace = '{"kind":"trace","prompt":"x"}';
    const requests: readonly [method: string, address: string, body?: string][] = [
      ['PUT', annotations, '{"notes":"theirs"}'],
      ['PUT', `/api/graphs/${SLUG}/labels/0/1`, '{"text":"theirs"}'],
      ['POST', `/api/graphs/${SLUG}/scores`, '{"pinnedIds":[]}'],
      ['POST', '/api/jobs', trace],
      ['POST', '/api/jobs', `{"kind":"ablate","slug":"${SLUG}","source":"a","target":"b"}`],
      ['DELETE', '/api/jobs/any'],
      ['POST', '/api/token'],
    ];
    const wrong: readonly [headers: Record<string, string>, query: string][] = [
      [{}, ''],
      [{}, '?token='],
      [{}, `?token=${token!.slice(0, -1)}`],
      [{ authorization: 'Bearer guessed' }, ''],
      [{ authorization: 'Bearer' }, ''],
      [{ cookie: `tracer_${port}=guessed` }, ''],
      [{ cookie: `tracer=${token}` }, ''],
    ];
    for (const [method, address, body] of requests) {
      for (const [headers, query] of wrong) {
        const question = { method, headers: { ...JSON_TYPE, ...headers }, ...(body && { body }) };
        const reply = await ask(port, address + query, question);
        expect({ method, address, status: reply.status }).toEqual({ method, address, status: 401 });
        const { error } = JSON.parse(reply.text) as { error: { code: string; hint: string } };
        expect(error.code).toBe('token_needed');
        expect(error.hint).toMatch(/address that `tracer serve` printed/);
        expect(reply.text).not.toContain(token);
      }
    }
    expect(await notesOf()).toBe('');
  });

  it('takes the token in the address, as a header, and in the cookie that stands for it', async () => {
    const { port, token } = opened.viewer;
    expect((await put('address', {}, `?token=${token}`)).status).toBe(200);
    expect(await notesOf()).toBe('address');
    expect((await put('header', { authorization: `Bearer ${token}` })).status).toBe(200);
    expect(await notesOf()).toBe('header');
    const page = await ask(port, `/?token=${token}`);
    expect(page.status).toBe(200);
    expect((await put('cookie', { cookie: `theme=dark; ${cookieOf(page)}` })).status).toBe(200);
    expect(await notesOf()).toBe('cookie');
  });

  it('does not mind the header of a proxy beside the cookie', async () => {
    const cookie = cookieOf(await ask(opened.viewer.port, `/?token=${opened.viewer.token}`));
    expect((await put('proxied', { cookie, authorization: 'token of-the-hub' })).status).toBe(200);
  });

  it('gives the cookie to a page that was told the token', async () => {
    const { port, token } = opened.viewer;
    const given = await ask(port, `/api/token?token=${token}`, { method: 'POST' });
    expect(given.status).toBe(204);
    expect((await put('given', { cookie: cookieOf(given) })).status).toBe(200);
  });

  it('has a cookie of its own beside other servers of that name, whatever ports a tunnel gives them', async () => {
    await using other = await openedViewer();
    const cookie = async ({ viewer }: OpenedViewer, host: string): Promise<string> =>
      cookieOf(await ask(viewer.port, `/?token=${viewer.token}`, { headers: { host } }));
    const names = new Set<string>();
    for (const server of [opened, other]) {
      for (const host of [
        `localhost:${server.viewer.port}`,
        'localhost:9000',
        'localhost:9001',
        'localhost',
      ]) {
        const [name] = (await cookie(server, host)).split('=');
        expect(name).toContain(String(server.viewer.port));
        names.add(name!);
      }
    }
    // Without a port in the address the path tells servers apart.
    expect(names.size).toBe(6);
  });
});

describe('a viewer that needs no token', () => {
  it('has none in its address and lets everybody who can connect write', async () => {
    await using opened = await openedViewer(undefined, { token: false });
    const { address, port, token } = opened.viewer;
    expect({ address, token }).toEqual({ address: `http://127.0.0.1:${port}/`, token: null });
    const reply = await opened.send('PUT', `/api/graphs/${SLUG}/annotations`, NO_ANNOTATIONS);
    expect(reply.status).toBe(200);
    expect((await ask(port, '/api/token', { method: 'POST' })).status).toBe(204);
    const headers = { ...JSON_TYPE, origin: 'http://elsewhere.example' };
    const foreign = await ask(port, '/api/jobs', { method: 'POST', headers, body: '{}' });
    expect(errorCode(foreign)).toBe('foreign_origin');
  });
});

describe('the names that a server answers to', () => {
  const answers = (host: string | undefined, allowed: readonly string[], header: string): boolean => {
    const name = hostName(header);
    return name !== null && ownNames(host, allowed)(name);
  };

  it('are its own address, and all of this machine where it listens on all', () => {
    expect(answers('192.0.2.7', [], '192.0.2.7:8000')).toBe(true);
    expect(answers('Box.Example', [], 'BOX.example')).toBe(true);
    expect(answers('2001:db8::1', [], '[2001:db8:0::1]:8000')).toBe(true);
    expect(answers('192.0.2.7', [], '192.0.2.8')).toBe(false);
    const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
    for (const every of ['0.0.0.0', '::']) {
      for (const { address, family } of addresses) {
        expect(answers(every, [], family === 'IPv6' ? `[${address}]` : address)).toBe(true);
      }
      expect(answers(every, [], 'elsewhere.example')).toBe(false);
      expect(answers(every, [], every)).toBe(false);
    }
  });

  it('are loopback names wherever it listens, for a tunnel may end there', () => {
    for (const host of [undefined, '127.0.0.1', '192.0.2.7', '0.0.0.0', '::1']) {
      expect(answers(host, [], 'localhost:9000')).toBe(true);
      expect(answers(host, [], '[::1]')).toBe(true);
      expect(answers(host, [], '[::ffff:127.0.0.1]:9000')).toBe(true);
      expect(answers(host, [], '[::ffff:127.0.0.1.nip.io]')).toBe(false);
    }
  });

  it('are those of a reverse proxy that were named, and none below or above them', () => {
    const allowed = ['Hub.Example.org', 'bücher.example', '2001:db8::5', 'lab.example.'];
    for (const header of [
      'hub.example.org',
      'HUB.example.org:8443',
      'xn--bcher-kva.example',
      '[2001:db8::5]',
      'hub.example.org.',
      'lab.example:8443',
    ]) {
      expect(answers(undefined, allowed, header)).toBe(true);
    }
    for (const header of [
      'example.org',
      'x.hub.example.org',
      'hub.example.org.evil.example',
      'hub-example.org',
      'example.org.',
    ]) {
      expect(answers(undefined, allowed, header)).toBe(false);
    }
  });

  it('are names and nothing else', () => {
    const wrong = [
      '',
      '*',
      'https://hub.example.org',
      'hub.example.org/',
      'hub.example.org:443',
      'a b',
      'x@y',
    ];
    for (const name of wrong) {
      expect(() => ownNames(undefined, [name])).toThrow(
        expect.objectContaining({ code: 'bad_value', exitCode: 2 }),
      );
    }
  });
});
