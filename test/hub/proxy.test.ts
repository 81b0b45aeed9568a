import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, request, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { connect, createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { UsageError } from '../../src/errors.ts';
import { HubClient, resolveFiles } from '../../src/hub/resolve.ts';
import { readHubEnvironment } from '../../src/hub/environment.ts';
import { proxyFor } from '../../src/hub/proxy.ts';
import { startFetch } from './child/start.ts';
import { errorOf, HubFixture, QUICK, REPO } from './setup.ts';

const PROXY = 'http://proxy.example:3128';
const hostOf = (address: string, env: Record<string, string>): string | undefined =>
  proxyFor(address, env)?.name;

describe('The proxy of an address', () => {
  it.each([
    ['http://hub.example/x', { HTTP_PROXY: PROXY }, 'proxy.example:3128 (HTTP_PROXY)'],
    ['http://hub.example/x', { http_proxy: PROXY }, 'proxy.example:3128 (http_proxy)'],
    ['https://hub.example/x', { HTTPS_PROXY: PROXY }, 'proxy.example:3128 (HTTPS_PROXY)'],
    ['https://hub.example/x', { https_proxy: PROXY }, 'proxy.example:3128 (https_proxy)'],
    ['http://hub.example/x', { ALL_PROXY: PROXY }, 'proxy.example:3128 (ALL_PROXY)'],
    ['https://hub.example/x', { all_proxy: PROXY }, 'proxy.example:3128 (all_proxy)'],
    ['https://hub.example/x', { HTTP_PROXY: PROXY }, 'proxy.example:3128 (HTTP_PROXY)'],
    [
      'https://h/x',
      { HTTP_PROXY: 'http://a', ALL_PROXY: 'http://b', HTTPS_PROXY: 'http://c' },
      'c (HTTPS_PROXY)',
    ],
    ['https://h/x', { HTTP_PROXY: 'http://a', ALL_PROXY: 'http://b' }, 'b (ALL_PROXY)'],
    [
      'http://h/x',
      { HTTP_PROXY: 'http://a', ALL_PROXY: 'http://b', HTTPS_PROXY: 'http://c' },
      'a (HTTP_PROXY)',
    ],
    ['http://h/x', { HTTP_PROXY: 'http://a', http_proxy: 'http://b' }, 'b (http_proxy)'],
    ['http://h/x', { HTTP_PROXY: 'http://a', http_proxy: '' }, 'a (HTTP_PROXY)'],
    ['http://h/x', { HTTP_PROXY: 'proxy.example:3128' }, 'proxy.example:3128 (HTTP_PROXY)'],
    ['https://h/x', { ALL_PROXY: 'socks5h://proxy.example:1080' }, 'proxy.example:1080 (ALL_PROXY)'],
    ['http://h/x', { HTTPS_PROXY: PROXY }, undefined],
    ['https://h/x', { HTTPS_PROXY: ' ' }, undefined],
    ['https://h/x', {}, undefined],
  ])('%s with %j is %s', (address, env, name) => {
    expect(hostOf(address, env as Record<string, string>)).toBe(name);
  });

  it.each([
    ['hub.example', 'https://hub.example/x', true],
    ['hub.example', 'https://cdn.hub.example/x', true],
    ['.hub.example', 'https://hub.example/x', true],
    ['*.hub.example', 'https://cdn.hub.example/x', true],
    ['HUB.Example', 'https://hub.example/x', true],
    ['hub.example.', 'https://hub.example/x', true],
    ['hub.example', 'https://myhub.example/x', false],
    ['cdn.hub.example', 'https://hub.example/x', false],
    ['other, hub.example', 'https://hub.example/x', true],
    ['other hub.example', 'https://hub.example/x', true],
    ['*', 'https://hub.example/x', true],
    ['other,*', 'https://hub.example/x', true],
    ['hub.example:443', 'https://hub.example/x', true],
    ['hub.example:8443', 'https://hub.example/x', false],
    ['hub.example:80', 'http://hub.example/x', true],
    ['localhost,127.0.0.1', 'http://127.0.0.1:8080/x', true],
    ['127.0.0.1:8080', 'http://127.0.0.1:8080/x', true],
    ['127.0.0.1:8081', 'http://127.0.0.1:8080/x', false],
    ['10.0.0.0/8', 'http://10.1.2.3/x', true],
    ['10.0.0.0/8', 'http://11.1.2.3/x', false],
    ['10.0.0.0/33', 'http://10.1.2.3/x', false],
    ['0.0.1', 'http://127.0.0.1/x', false],
    ['::1', 'http://[::1]:8080/x', true],
    ['[::1]', 'http://[::1]:8080/x', true],
    ['[::1]:8081', 'http://[::1]:8080/x', false],
    ['0:0:0:0:0:0:0:1', 'http://[::1]/x', true],
    ['fd00::/8', 'http://[fd12::5]/x', true],
    ['', 'http://hub.example/x', false],
    [',', 'http://hub.example/x', false],
  ])('NO_PROXY=%s takes %s out: %s', (noProxy, address, isOut) => {
    for (const name of ['NO_PROXY', 'no_proxy']) {
      expect(hostOf(address, { ALL_PROXY: PROXY, [name]: noProxy }) === undefined).toBe(isOut);
    }
  });

  it('may have a name and a password, which no message shows', () => {
    const proxy = proxyFor('http://h', { HTTP_PROXY: 'http://me:s%40cret@proxy.example' });
    expect(proxy).toMatchObject({ url: 'http://proxy.example/', username: 'me', password: 's@cret' });
    expect(proxy?.name).toBe('proxy.example (HTTP_PROXY)');
    const bad = (): unknown => proxyFor('http://h', { HTTP_PROXY: 'ftp://me:secret@proxy.example' });
    expect(bad).toThrow(UsageError);
    expect(bad).toThrow(/HTTP_PROXY/);
    expect(bad).not.toThrow(/secret/);
  });
});

/** Passes requests on and opens tunnels, wherever they are meant to go, to a port of this machine. */
class Forwarder implements AsyncDisposable {
  readonly seen: string[] = [];
  readonly credentials = new Set<string | undefined>();
  /** A status for everything instead. */
  refuses: number | undefined;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(port: number) {
    this.#server = createServer((incoming, outgoing) => {
      this.seen.push(`${incoming.method} ${new URL(incoming.url!).host}`);
      this.credentials.add(incoming.headers['proxy-authorization']);
      if (this.refuses !== undefined) return void outgoing.writeHead(this.refuses).end();
      const { pathname, search } = new URL(incoming.url!);
      const { method, headers } = incoming;
      const onward = request(
        { host: '127.0.0.1', port, method, path: pathname + search, headers },
        (answer) => {
          outgoing.writeHead(answer.statusCode!, answer.headers);
          answer.pipe(outgoing);
        },
      );
      incoming.pipe(onward);
    });
    this.#server.on('connection', (socket) => this.#sockets.add(socket));
    this.#server.on('connect', (incoming, socket: Socket) => {
      this.seen.push(`CONNECT ${incoming.url}`);
      this.credentials.add(incoming.headers['proxy-authorization']);
      socket.on('error', () => undefined);
      if (this.refuses !== undefined) return void socket.end(`HTTP/1.1 ${this.refuses} No\r\n\r\n`);
      const onward = connect(port, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        onward.pipe(socket).pipe(onward);
      });
      onward.on('error', () => socket.destroy());
      this.#sockets.add(onward);
    });
  }

  static async to(endpoint: string): Promise<Forwarder> {
    const forwarder = new Forwarder(Number(new URL(endpoint).port));
    await new Promise<void>((resolve) => forwarder.#server.listen(0, '127.0.0.1', resolve));
    return forwarder;
  }

  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

async function fetchThrough(hub: HubFixture, env: Record<string, string>) {
  const variables = { ...hub.environment(), ...env };
  const options = { retry: QUICK, onNotice: (text: string) => void hub.notices.push(text) };
  const client = new HubClient(readHubEnvironment({}, variables), options);
  return await resolveFiles({ kind: 'hub', repo: REPO }, { wanted: () => true, client });
}

const FILES = { 'config.json': '{}', 'README.md': '# model', 'a/b.txt': 'b', 'a/c.txt': 'c' };

describe('Through a proxy', () => {
  it('goes every request: descriptions, pages of lists, files', async () => {
    await using hub = await HubFixture.start();
    hub.server.commit(REPO, FILES);
    await using proxy = await Forwarder.to(hub.server.endpoint);
    // A name that only the proxy knows.
    hub.server.linkTo = (place) => `<http://hub.example${place}>; rel="next"`;
    const env = { HF_ENDPOINT: 'http://hub.example', http_proxy: `http://${proxy.host}` };
    const found = await fetchThrough(hub, env);
    expect(readFileSync(found.path('a/c.txt'), 'utf8')).toBe('c');
    expect(new Set(proxy.seen)).toEqual(new Set(['GET hub.example']));
    expect(proxy.seen).toHaveLength(hub.server.requests.length);
    expect(hub.server.requests.length).toBeGreaterThan(Object.keys(FILES).length + 1);
  });

  it('goes nothing to a host that NO_PROXY names', async () => {
    await using hub = await HubFixture.start();
    hub.server.commit(REPO, FILES);
    await using proxy = await Forwarder.to(hub.server.endpoint);
    await fetchThrough(hub, { ALL_PROXY: `http://${proxy.host}`, NO_PROXY: 'localhost,127.0.0.1' });
    expect(proxy.seen).toEqual([]);
  });

  it('goes a tunnel for https, and a name and password with it', async () => {
    await using hub = await HubFixture.start();
    await using proxy = await Forwarder.to(hub.server.endpoint);
    const env = {
      HF_ENDPOINT: 'https://hub.example',
      HTTPS_PROXY: `http://me:s%40cret@${proxy.host}`,
    };
    // The server behind the tunnel speaks http: no connection comes about, but the proxy was asked for one.
    expect(await errorOf(fetchThrough(hub, env))).toMatchObject({ exitCode: 69 });
    expect(new Set(proxy.seen)).toEqual(new Set(['CONNECT hub.example:443']));
    expect([...proxy.credentials]).toEqual([`Basic ${Buffer.from('me:s@cret').toString('base64')}`]);
    expect(hub.notices.join()).not.toContain('cret');
  });

  it.each([
    [407, 'http://hub.example', 'HTTP_PROXY', 'NAME:PASSWORD'],
    [407, 'https://hub.example', 'HTTPS_PROXY', 'NAME:PASSWORD'],
    [403, 'https://hub.example', 'HTTPS_PROXY', 'NO_PROXY'],
  ])('that answers %s to %s is named and asked once', async (status, endpoint, variable, hint) => {
    await using hub = await HubFixture.start();
    await using proxy = await Forwarder.to(hub.server.endpoint);
    proxy.refuses = status;
    const error = await errorOf(
      fetchThrough(hub, { HF_ENDPOINT: endpoint, [variable]: `http://${proxy.host}` }),
    );
    expect(error).toMatchObject({
      exitCode: 69,
      code: 'proxy_refused',
      message: expect.stringContaining(`the proxy ${proxy.host} (${variable}) answered ${status}`),
      hint: expect.stringContaining(hint),
    });
    expect(proxy.seen).toHaveLength(1);
  });

  it('that has faults of its own is tried again', async () => {
    await using hub = await HubFixture.start();
    await using proxy = await Forwarder.to(hub.server.endpoint);
    proxy.refuses = 502;
    const env = { HF_ENDPOINT: 'https://hub.example', HTTPS_PROXY: `http://${proxy.host}` };
    expect(await errorOf(fetchThrough(hub, env))).toMatchObject({ exitCode: 69, code: 'network_failed' });
    expect(proxy.seen).toHaveLength(QUICK.attempts);
    expect(hub.notices[0]).toContain(`the proxy ${proxy.host} (HTTPS_PROXY) answered 502`);
  });
});

it('a server that answers 407 although it is no proxy has a reason in its error', async () => {
  await using hub = await HubFixture.start();
  hub.server.commit(REPO, FILES);
  hub.server.inject('hub ', { kind: 'status', status: 407 }, 1000);
  const error = await errorOf(fetchThrough(hub, {}));
  expect(error).toMatchObject({ exitCode: 69, code: 'network_failed' });
  expect(error).toHaveProperty('message', expect.stringMatching(/failed \([^)]*407[^)]*\)/));
});

it('SOCKS5 proxies are spoken to, and look names up themselves', async () => {
  await using hub = await HubFixture.start();
  hub.server.commit(REPO, FILES);
  hub.server.linkTo = (place) => `<http://hub.example${place}>; rel="next"`;
  const asked = new Set<string>();
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    // RFC 1928: methods, then a request for a name (type 3) with its length in front and a port behind.
    socket.once('data', () => {
      socket.write(Buffer.from([5, 0]));
      socket.once('data', (wish) => {
        asked.add(wish.toString('latin1', 5, 5 + wish[4]!));
        const onward = connect(Number(new URL(hub.server.endpoint).port), '127.0.0.1', () => {
          socket.write(Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]));
          onward.pipe(socket).pipe(onward);
        });
        sockets.add(onward);
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = `socks5h://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const found = await fetchThrough(hub, { HF_ENDPOINT: 'http://hub.example', all_proxy: address });
  expect(readFileSync(found.path('a/b.txt'), 'utf8')).toBe('b');
  expect([...asked]).toEqual(['hub.example']);
  for (const socket of sockets) socket.destroy();
  server.close();
});

const hasOpenssl = spawnSync('openssl', ['version']).status === 0;

(hasOpenssl ? describe : describe.skip)('A certificate of the network itself (needs openssl)', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tracer-certificate-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')];
  const newKey = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', certificate];
  const subject = ['-subj', '/CN=hub.example', '-addext', 'subjectAltName=DNS:hub.example', '-days', '2'];
  if (hasOpenssl) spawnSync('openssl', [...newKey, ...subject]);

  it.each([
    ['with', true, 0],
    ['without', false, 1],
  ])('is trusted %s NODE_EXTRA_CA_CERTS, behind a tunnel too', async (_, isNamed, exitCode) => {
    await using hub = await HubFixture.start();
    hub.server.commit(REPO, FILES);
    hub.server.linkTo = (place) => `<https://hub.example${place}>; rel="next"`;
    const port = Number(new URL(hub.server.endpoint).port);
    const pem = { key: readFileSync(key), cert: readFileSync(certificate) };
    const secure = createTlsServer(pem, (incoming, outgoing) => {
      const { method, url: path, headers } = incoming;
      const onward = request({ host: '127.0.0.1', port, method, path, headers }, (answer) => {
        outgoing.writeHead(answer.statusCode!, answer.headers);
        answer.pipe(outgoing);
      });
      incoming.pipe(onward);
    });
    await new Promise<void>((resolve) => secure.listen(0, '127.0.0.1', resolve));
    await using proxy = await Forwarder.to(`https://127.0.0.1:${(secure.address() as AddressInfo).port}`);
    const { code, stdout } = await startFetch(REPO, {
      ...hub.environment(),
      HF_ENDPOINT: 'https://hub.example',
      HTTPS_PROXY: `http://${proxy.host}`,
      ...(isNamed && { NODE_EXTRA_CA_CERTS: certificate }),
    }).ended;
    expect({ code, isTrusted: !stdout.includes('is not trusted') }).toEqual({
      code: exitCode,
      isTrusted: isNamed,
    });
    secure.closeAllConnections();
    secure.close();
  });
});
