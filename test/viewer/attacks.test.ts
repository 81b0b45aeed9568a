import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { hostName, ownNames } from '../../src/viewer/host-names.ts';
import { scratchFolder } from '../support/scratch.ts';
import type { GraphList, OpenedGraph } from '../../src/viewer/api.ts';
import {
  answer,
  ask,
  bearer,
  copyReferenceFiles,
  errorCode,
  NO_ANNOTATIONS,
  openedViewer,
  rawAnswer,
  type OpenedViewer,
} from './opened.ts';

const SLUG = 'graph-plt-jumprelu-p2';
const SECRET = 'only for the eyes of its owner';
const JSON_TYPE = { 'content-type': 'application/json' };

const outside = scratchFolder();
let opened: OpenedViewer;

beforeAll(async () => {
  const secret = path.join(outside.path, 'secret.json');
  writeFileSync(
    secret,
    JSON.stringify({ metadata: { slug: 'secret', prompt: SECRET }, nodes: [], links: [] }),
  );
  opened = await openedViewer((folder) => {
    copyReferenceFiles('tiny-a', folder);
    writeFileSync(path.join(path.dirname(folder), 'secret.json'), SECRET);
    symlinkSync(secret, path.join(folder, 'linked.json'));
    symlinkSync(outside.path, path.join(folder, 'folder'));
    symlinkSync('loop.json', path.join(folder, 'loop.json'));
    symlinkSync(`${SLUG}.json`, path.join(folder, 'inside.json'));
  });
});
afterAll(async () => {
  await opened[Symbol.asyncDispose]();
  outside[Symbol.dispose]();
});

describe('an address', () => {
  const WAYS_UP = [
    '../',
    '%2e%2e/',
    '..%2f',
    '%2e%2e%2f',
    '..%5c',
    '..%252f',
    '..%c0%af',
    '....//',
    '.%00./',
  ];
  const FILES = ['secret.json', 'secret', 'etc/passwd'];

  it.each(WAYS_UP)('that climbs with %s finds nothing, wherever it starts', async (up) => {
    for (const file of FILES) {
      for (const start of ['/', '/assets/', '/api/graphs/', `/api/graphs/${SLUG}/`, '/api/graphs/folder/']) {
        for (const climbed of [up, up.repeat(6)]) {
          const reply = await opened.ask(`${start}${climbed}${file}`);
          expect([400, 404]).toContain(reply.status);
          expect(reply.text).not.toMatch(/owner|root:/);
        }
      }
    }
  });

  it.each([
    '//etc/passwd',
    '///etc/passwd',
    '/%2fetc%2fpasswd',
    '/file:///etc/passwd',
    '/api/graphs//etc/passwd',
  ])('%s is no way to a file of the disk', async (address) => {
    const reply = await opened.ask(address);
    expect(reply.status).toBe(404);
    expect(reply.text).not.toMatch(/root:/);
  });

  it('in the absolute form of proxies is refused, with this host or another', async () => {
    const { port } = opened.viewer;
    for (const target of [`http://127.0.0.1:${port}/api/graphs`, 'http://elsewhere.example/api/graphs']) {
      const reply = await rawAnswer(
        port,
        `GET ${target} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n\r\n`,
      );
      expect(reply).toMatch(/^HTTP\/1\.1 40[03] /);
      expect(reply).not.toContain(SLUG);
    }
  });

  it('that is no address at all is answered, and the server goes on', async () => {
    const { port } = opened.viewer;
    for (const target of ['*', '\\..\\etc', '/%', '/api/graphs/%E0%A4%A', 'javascript:1']) {
      const reply = await rawAnswer(
        port,
        `GET ${target} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n\r\n`,
      );
      expect(reply).toMatch(/^HTTP\/1\.1 4\d\d /);
    }
    expect((await opened.ask('/api/info')).status).toBe(200);
  });
});

describe('a link in the folder', () => {
  it('that leads out is listed as what it is, and not followed', async () => {
    const { graphs } = answer<GraphList>(await opened.ask('/api/graphs'));
    const linked = graphs.find(({ slug }) => slug === 'linked');
    expect(linked?.problem).toMatch(/leads out of the folder/);
    expect(linked?.prompt).toBe('');
    for (const question of ['', '/export.json', '/export.html', '/features/0/1']) {
      const reply = await opened.ask(`/api/graphs/linked${question}`);
      expect(reply.status).toBe(422);
      expect(reply.text).not.toContain(SECRET);
    }
    const put = await opened.send('PUT', '/api/graphs/linked/annotations', NO_ANNOTATIONS);
    expect(put.status).toBe(422);
  });

  it('to a folder, to itself or to a graph beside it adds no graph', async () => {
    const { graphs } = answer<GraphList>(await opened.ask('/api/graphs'));
    const slugs = graphs.map(({ slug }) => slug);
    for (const name of ['folder', 'loop', 'secret']) expect(slugs).not.toContain(name);
    expect(slugs.filter((slug) => slug === 'inside' || slug === SLUG)).toHaveLength(1);
  });
});

describe('a foreign name for this server', () => {
  const foreign = [
    'elsewhere.example',
    'elsewhere.example:80',
    'localhost.elsewhere.example',
    '127.0.0.1.elsewhere.example',
    '127.0.0.1.nip.io:8000',
    'notlocalhost',
    'elsewhere.example.',
    'localhost.elsewhere.example.',
    'localhost..',
    '[::ffff:8000:1]',
    '[::ffff:a7f:1]',
    '[::7f00:1]',
    '128.0.0.1',
    '0.0.0.0',
    '[::]',
    '[::2]',
    '10.127.0.0.1',
  ];
  /** A URL would take some of these for a loopback name; a server in between may pass them on. */
  const malformed = [
    'localhost:port',
    'localhost@elsewhere.example',
    'elsewhere.example#.localhost',
    'elsewhere.example/.localhost',
    'elsewhere.example?.localhost',
    'user@localhost',
    '%6cocalhost',
    'localhost,elsewhere.example',
  ];

  it.each(foreign)('is refused: Host "%s"', async (host) => {
    for (const address of ['/', '/api/graphs', '/assets/app.js']) {
      const reply = await opened.ask(address, { headers: { host } });
      expect(reply.status).toBe(403);
      expect(errorCode(reply)).toBe('foreign_host');
    }
  });

  it.each(malformed)('is refused as malformed: Host "%s"', async (host) => {
    expect([400, 403]).toContain((await opened.ask('/api/graphs', { headers: { host } })).status);
    const name = hostName(host);
    expect(name !== null && ownNames(undefined)(name)).toBe(false);
  });

  it('is refused when there is none, or an empty one', async () => {
    const { port } = opened.viewer;
    for (const head of ['HTTP/1.0\r\n', 'HTTP/1.0\r\nHost: \r\n', 'HTTP/1.1\r\nConnection: close\r\n']) {
      const reply = await rawAnswer(port, `GET /api/graphs ${head}\r\n`);
      expect(reply).toMatch(/^HTTP\/1\.1 40[03] /);
      expect(reply).not.toContain(SLUG);
    }
  });

  it('is refused beside a right one', async () => {
    const { port } = opened.viewer;
    const reply = await rawAnswer(
      port,
      `GET /api/graphs HTTP/1.1\r\nHost: elsewhere.example\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n\r\n`,
    );
    expect(reply).toMatch(/^HTTP\/1\.1 40[03] /);
    expect(reply).not.toContain(SLUG);
  });

  it('is not what the names of this machine are, with any port: a forwarded one is another than ours', async () => {
    const names = [
      '127.0.0.1',
      '127.3.2.1',
      'localhost',
      'LOCALHOST',
      'lab.localhost',
      'a.b.localhost',
      '[::1]',
      // A final dot says that a name is complete: in DNS it is the same name.
      'localhost.',
      'lab.localhost.',
      // 127.x.x.x as an address of IPv6, in the spelling that browsers send.
      '[::ffff:7f00:1]',
      '[::ffff:7f03:201]',
    ];
    for (const name of names) {
      for (const port of ['', `:${opened.viewer.port}`, ':9000', ':80', ':443']) {
        const host = name + port;
        for (const origin of [`http://${host}`, `https://${host}`]) {
          const reply = await opened.ask('/api/graphs', { headers: { host, origin } });
          expect({ host, origin, status: reply.status }).toEqual({ host, origin, status: 200 });
        }
      }
    }
  });

  it('is none that the browser leaves the port of a scheme out of', async () => {
    const headers = { host: 'localhost:80', origin: 'http://localhost' };
    expect((await opened.ask('/api/graphs', { headers })).status).toBe(200);
  });
});

describe('a page of another loopback name or port', () => {
  it.each([
    ['localhost:9000', 'http://localhost:9001'],
    ['localhost:9000', 'http://localhost'],
    ['localhost:9000', 'https://localhost'],
    ['localhost:9000', 'http://127.0.0.1:9000'],
    ['localhost:9000', 'http://lab.localhost:9000'],
    ['localhost', 'http://localhost:8888'],
    ['localhost:9000', 'http://localhost:9000.elsewhere.example'],
    ['localhost:9000', 'http://localhost:9000/path'],
    ['localhost:9000', 'http://user@localhost:9000'],
  ])('is another site: Host %s, Origin %s', async (host, origin) => {
    const reply = await opened.ask('/api/graphs', { headers: { host, origin } });
    expect([reply.status, errorCode(reply)]).toEqual([403, 'foreign_origin']);
  });
});

describe('a page of another site', () => {
  it.each(['http://elsewhere.example', 'https://127.0.0.1', 'null', 'http://localhost:1', 'file://'])(
    'of origin %s may neither read nor write',
    async (origin) => {
      const headers = { origin, ...JSON_TYPE };
      const read = await opened.ask('/api/graphs', { headers });
      const body = JSON.stringify({ ...NO_ANNOTATIONS, notes: 'taken over' });
      const write = await opened.ask(`/api/graphs/${SLUG}/annotations`, { method: 'PUT', headers, body });
      for (const reply of [read, write]) {
        expect(reply.status).toBe(403);
        expect(errorCode(reply)).toBe('foreign_origin');
        expect(reply.headers).not.toHaveProperty('access-control-allow-origin');
      }
      const { annotations } = answer<OpenedGraph>(await opened.ask(`/api/graphs/${SLUG}`));
      expect(annotations.notes).toBe('');
    },
  );

  it('may link to the page, and to nothing else', async () => {
    const link = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' };
    expect((await opened.ask('/?slug=x', { headers: link })).status).not.toBe(403);
    const asked = ['/api/graphs', `/api/graphs/${SLUG}/export.html`];
    for (const address of asked) expect((await opened.ask(address, { headers: link })).status).toBe(403);
    const image = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' };
    expect((await opened.ask('/', { headers: image })).status).toBe(403);
  });

  it('cannot send a form, which needs no permission of a browser', async () => {
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      '',
    ]) {
      const reply = await opened.ask('/api/jobs', {
        method: 'POST',
        headers: { 'content-type': type },
        body: '{"kind":"trace","prompt":"x"}',
      });
      expect(reply.status).toBe(415);
    }
  });

  it('is not the own page', async () => {
    const origin = `http://127.0.0.1:${opened.viewer.port}`;
    const headers = { origin, 'sec-fetch-site': 'same-origin', host: `127.0.0.1:${opened.viewer.port}` };
    expect((await opened.ask('/api/graphs', { headers })).status).toBe(200);
  });
});

describe('a body', () => {
  const annotations = `/api/graphs/${SLUG}/annotations`;
  const put = (body: string | Buffer, headers: Record<string, string> = {}) =>
    opened.ask(annotations, { method: 'PUT', headers: { ...JSON_TYPE, ...headers }, body });

  it('that is too large is refused, whether its length is told or not', async () => {
    const large = JSON.stringify({ ...NO_ANNOTATIONS, notes: 'x'.repeat(2 ** 20) });
    for (const headers of [{}, { 'transfer-encoding': 'chunked' }]) {
      const reply = await put(large, headers);
      expect(reply.status).toBe(413);
      expect(errorCode(reply)).toBe('body_too_large');
    }
  });

  it.each([
    ['nothing', ''],
    ['half of a document', '{"pinnedIds":['],
    ['no JSON', '<annotations/>'],
    ['a list', '[]'],
    ['a number', '1'],
    ['bytes that are no UTF-8', Buffer.from([0x7b, 0xff, 0x7d])],
    ['a field of another type', '{"pinnedIds":"a"}'],
    ['an id that is none', '{"pinnedIds":[1]}'],
    ['a supernode without a name', '{"supernodes":[[]]}'],
    ['a very long label', JSON.stringify({ clerps: { a: 'x'.repeat(100_000) } })],
    ['more nodes than a graph has', JSON.stringify({ pinnedIds: Array.from({ length: 50_000 }, String) })],
    ['lists in lists', '['.repeat(500_000)],
  ])('that holds %s is refused, and nothing is written', async (_, body) => {
    const reply = await put(body);
    expect(reply.status).toBe(400);
    const opened_ = answer<OpenedGraph>(await opened.ask(`/api/graphs/${SLUG}`));
    expect(opened_.annotations).toEqual(NO_ANNOTATIONS);
  });

  it.each([
    '{"kind":"trace"}',
    '{"kind":"delete","slug":"x"}',
    '{"kind":"trace","prompt":"x","slug":"../x"}',
    '{"kind":"trace","prompt":"x","slug":"/etc/x"}',
    '{"kind":"trace","prompt":"x","slug":".hidden"}',
    '{"kind":"trace","prompt":"x","output":"/etc/x"}',
    `{"kind":"steer","slug":"${SLUG}","changes":[]}`,
    `{"kind":"steer","slug":"${SLUG}","changes":[{"layer":-1,"position":0,"feature":0,"factor":1}]}`,
    `{"kind":"steer","slug":"${SLUG}","changes":[{"layer":0,"position":0,"feature":0,"factor":1e999}]}`,
  ])('that asks for no job is refused: %s', async (body) => {
    const reply = await opened.ask('/api/jobs', { method: 'POST', headers: JSON_TYPE, body });
    expect(reply.status).toBe(400);
    expect(errorCode(reply)).toBe('bad_field');
  });

  it('cannot reach what all objects have', async () => {
    await put('{"clerps":{"__proto__":"x","constructor":"y"},"__proto__":{"notes":"z"}}');
    expect(({} as { notes?: string }).notes).toBeUndefined();
    const reply = answer<OpenedGraph>(await opened.ask(`/api/graphs/${SLUG}`));
    expect(reply.annotations.notes).toBe('');
  });
});

describe('a method that is not answered', () => {
  it.each([
    ['DELETE', '/api/graphs'],
    ['POST', `/api/graphs/${SLUG}`],
    ['PUT', '/api/info'],
    ['PATCH', `/api/graphs/${SLUG}/annotations`],
  ])('is refused: %s %s', async (method, address) => {
    const reply = await opened.ask(address, { method });
    expect(reply.status).toBe(405);
    expect(reply.headers['allow']).toMatch(/GET|POST|PUT/);
  });
});

describe('thresholds in an address', () => {
  it.each(['2', '-1', 'NaN', '', '0.8x', '1e9', 'Infinity', '%00'])('have to be shares: %s', async (text) => {
    expect((await opened.ask(`/api/graphs/${SLUG}?node_threshold=${text}`)).status).toBe(400);
  });
});

describe('every answer', () => {
  it('keeps the browser from guessing, framing, telling and running what is not ours', async () => {
    const addresses = ['/', '/api/info', '/nowhere', `/api/graphs/${SLUG}`, '/api/graphs/nothing'];
    const replies = [
      ...(await Promise.all(addresses.map((address) => opened.ask(address)))),
      await opened.ask('/api/info', { headers: { host: 'elsewhere.example' } }),
      await opened.send('PUT', `/api/graphs/${SLUG}/annotations`, []),
    ];
    for (const { headers } of replies) {
      expect(headers['content-security-policy']).toMatch(/^default-src 'none'; script-src 'self'; /);
      expect(headers['content-security-policy']).toMatch(/frame-ancestors 'none'/);
      expect(headers['content-security-policy']).not.toMatch(/unsafe|\*|https?:/);
      expect(headers).toMatchObject({
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        'x-frame-options': 'DENY',
        'cross-origin-resource-policy': 'same-origin',
      });
      expect(headers).not.toHaveProperty('x-powered-by');
    }
  });
});

describe('markup in a label', () => {
  it('is data: it comes back as it is, as JSON that no browser takes for a page', async () => {
    const markup = '<img src=x onerror="alert(1)"></script><script>alert(2)</script>\u2028';
    const clerps = { '0_104_8': markup };
    const put = await opened.send('PUT', `/api/graphs/${SLUG}/annotations`, {
      ...NO_ANNOTATIONS,
      clerps,
      notes: markup,
      supernodes: [[markup, '0_104_8']],
    });
    expect(put.status).toBe(200);
    for (const address of [`/api/graphs/${SLUG}`, `/api/graphs/${SLUG}/export.json`]) {
      const reply = await opened.ask(address);
      expect(reply.headers['content-type']).toMatch(/^application\/json/);
      expect(reply.headers['x-content-type-options']).toBe('nosniff');
    }
    const { annotations } = answer<OpenedGraph>(await opened.ask(`/api/graphs/${SLUG}`));
    expect(annotations).toMatchObject({ clerps, notes: markup });
    const page = await opened.ask(`/api/graphs/${SLUG}/export.html`);
    expect(page.status).toBe(200);
    expect(page.headers['content-disposition']).toBe(`attachment; filename="${SLUG}.html"`);
    expect(page.text).not.toMatch(/<img src=x|<script>alert/);
    const data = /<script type="application\/json" id="tracer-export">([^<]*)<\/script>/.exec(page.text)![1]!;
    expect(JSON.parse(data)).toMatchObject({
      slug: SLUG,
      opened: { annotations: { clerps, notes: markup } },
    });
    await opened.send('PUT', `/api/graphs/${SLUG}/annotations`, NO_ANNOTATIONS);
  });
});

describe('200 requests at once', () => {
  it('are all answered, and all alike', async () => {
    const replies = await Promise.all(Array.from({ length: 200 }, () => opened.ask(`/api/graphs/${SLUG}`)));
    expect(new Set(replies.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
    expect(replies[0]!.status).toBe(200);
  });

  it('that write leave one of what was written, whole', async () => {
    const notes = Array.from({ length: 200 }, (_, i) => `${i}`.repeat(1_000));
    const replies = await Promise.all(
      notes.map((text) =>
        opened.send('PUT', `/api/graphs/${SLUG}/annotations`, { ...NO_ANNOTATIONS, notes: text }),
      ),
    );
    expect(replies.every(({ status }) => status === 200)).toBe(true);
    const { annotations } = answer<OpenedGraph>(await opened.ask(`/api/graphs/${SLUG}`));
    expect(notes).toContain(annotations.notes);
    await opened.send('PUT', `/api/graphs/${SLUG}/annotations`, NO_ANNOTATIONS);
  });
});

describe('a slow client', () => {
  const limits = { headersMs: 300, requestMs: 600, idleMs: 900 };

  it('that does not finish what it asks is cut off, while others are served', async () => {
    await using patient = await openedViewer(undefined, { limits });
    const { port } = patient.viewer;
    const authorization = bearer(patient.viewer)['authorization']!;
    const head = `PUT /api/graphs/${SLUG}/annotations HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: ${authorization}\r\n`;
    const slow = [
      rawAnswer(port, ''),
      rawAnswer(port, head),
      rawAnswer(port, `${head}Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"pinnedIds"`),
    ];
    expect((await ask(port, '/api/graphs')).status).toBe(200);
    for (const reply of await Promise.all(slow)) expect(reply).toMatch(/^$|^HTTP\/1\.1 4\d\d /);
    expect((await ask(port, '/api/graphs')).status).toBe(200);
  });
});
