/** Publishing a graph and saving its subgraph, with every fault at every step. */
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { neuronpediaAddress } from '../../src/neuronpedia/address.ts';
import { graphRecord, graphText, packGraph, publishGraph } from '../../src/neuronpedia/graphs.ts';
import { NeuronpediaHttp } from '../../src/neuronpedia/http.ts';
import { saveSubgraph } from '../../src/neuronpedia/subgraphs.ts';
import { errorOf, shown } from '../support/failures.ts';
import { NeuronpediaServer, SIGNATURE, type NeuronpediaFault } from '../support/neuronpedia-server.ts';

const KEY = 'sk-np-secret-0123456789';
const NAME = { model: 'gemma-2-2b', slug: 'dallas' };
const TEXT = JSON.stringify({
  metadata: { scan: NAME.model, slug: NAME.slug },
  noise: randomBytes(2000).toString('hex'),
});
const SUBGRAPH = {
  displayName: 'mine',
  pinnedIds: ['1_2_3'],
  supernodes: [['Texas', '1_2_3']],
  clerps: [],
  pruningThreshold: 0.8,
  densityThreshold: 0.99,
};

async function started(): Promise<{ server: NeuronpediaServer; http: NeuronpediaHttp } & AsyncDisposable> {
  const server = await NeuronpediaServer.start();
  server.key = KEY;
  const http = new NeuronpediaHttp(
    neuronpediaAddress({ baseUrl: server.baseUrl }, { NEURONPEDIA_API_KEY: KEY }),
    {
      proxyFor: () => undefined,
      onNotice: () => undefined,
      retry: { attempts: 3, firstWaitMs: 1 },
      stallMs: 150,
    },
  );
  return { server, http, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

describe('publishing a graph', () => {
  it('asks for an address, sends, saves, and looks whether it is there', async () => {
    await using up = await started();
    const { page, json } = await publishGraph(up.http, NAME, await packGraph(TEXT), {});
    expect(page).toBe(`${up.server.baseUrl}/gemma-2-2b/graph?slug=dallas`);
    expect(await graphText(up.http, json, {})).toBe(TEXT);
    const calls = up.server.requests.map(({ host, method, path }) => `${host} ${method} ${path}`);
    expect(calls.slice(0, 4)).toEqual([
      'site POST /api/graph/signed-put',
      'storage PUT /user-graphs/someone/dallas.json',
      'site POST /api/graph/save-to-db',
      'site GET /api/graph/gemma-2-2b/dallas',
    ]);
    const [signed, sent] = up.server.requests;
    const { contentLength } = JSON.parse(signed!.body.toString()) as { contentLength: number };
    expect(sent!.headers).toMatchObject({
      'content-encoding': 'gzip',
      'content-length': String(contentLength),
    });
    expect(JSON.stringify(sent!.headers)).not.toContain(KEY);
  });

  const steps = ['/signed-put', 'PUT', '/save-to-db', 'GET /api/graph'];
  const passing: [string, NeuronpediaFault][] = [
    ['503', { kind: 'status', status: 503 }],
    ['429', { kind: 'status', status: 429, headers: { 'retry-after': '0' } }],
    ['a lost answer', { kind: 'lost' }],
    ['silence', { kind: 'silence' }],
  ];
  const cases = steps.flatMap((step) => passing.map(([name, fault]) => ({ step, name, fault })));

  it.each(cases)('goes on after $name of $step', async ({ step, fault }) => {
    await using up = await started();
    up.server.inject(step, fault, 2);
    await publishGraph(up.http, NAME, await packGraph(TEXT), {});
    expect(up.server.storedGraph(NAME.model, NAME.slug)).toMatchObject({ metadata: { slug: 'dallas' } });
  });

  it.each(cases)(
    'publishes nothing and claims nothing when $name of $step stays',
    async ({ step, fault }) => {
      await using up = await started();
      up.server.inject(step, fault, 99);
      const error = await errorOf(publishGraph(up.http, NAME, await packGraph(TEXT), {}));
      expect(error).toMatchObject({ code: 'network_failed', exitCode: 69 });
      expect(shown(error)).not.toContain(KEY);
      expect(shown(error)).not.toContain(SIGNATURE);
      if (step === '/signed-put' || step === 'PUT') expect(up.server.graphs.size).toBe(0);
    },
  );

  it.each([
    ['/signed-put', { kind: 'status', status: 401, body: { error: KEY } }, 3, 'not_authorised'],
    ['/signed-put', { kind: 'body', body: '{"url":"nowhere"}' }, 4, 'bad_answer'],
    ['/signed-put', { kind: 'body', body: '<html>' }, 4, 'bad_answer'],
    ['PUT', { kind: 'status', status: 403, body: `<Code>Expired</Code>${SIGNATURE}` }, 3, 'storage_refused'],
    ['/save-to-db', { kind: 'status', status: 401 }, 3, 'not_authorised'],
    ['/save-to-db', { kind: 'body', body: '{"message":"Graph saved"}' }, 4, 'bad_answer'],
    [
      '/save-to-db',
      { kind: 'status', status: 400, body: { error: 'ERR_MODEL_DOES_NOT_EXIST' } },
      3,
      'model_not_on_neuronpedia',
    ],
    [
      '/save-to-db',
      { kind: 'status', status: 400, body: { error: 'it was created by another user' } },
      2,
      'slug_taken',
    ],
    [
      '/save-to-db',
      {
        kind: 'status',
        status: 400,
        body: { error: 'Invalid graph format', details: ['/nodes: must be array'] },
      },
      4,
      'graph_refused',
    ],
    ['/save-to-db', { kind: 'status', status: 400, body: { error: 'something else' } }, 2, 'request_refused'],
    ['GET /api/graph', { kind: 'status', status: 404 }, 4, 'not_published'],
  ] as const)('stops at a refusal of %s (%#)', async (step, fault, exitCode, code) => {
    await using up = await started();
    up.server.inject(step, fault, 99);
    const error = await errorOf(publishGraph(up.http, NAME, await packGraph(TEXT), {}));
    expect(error).toMatchObject({ exitCode, code });
    expect(error.hint).toBeTruthy();
    expect(shown(error)).not.toContain(KEY);
    expect(shown(error)).not.toContain(SIGNATURE);
  });

  it('ends when it is cancelled while it sends', async () => {
    await using up = await started();
    up.server.inject('PUT', { kind: 'silence' }, 99);
    const controller = new AbortController();
    const work = errorOf(publishGraph(up.http, NAME, await packGraph(TEXT), { signal: controller.signal }));
    setTimeout(() => controller.abort(new Error('Ctrl-C')), 50);
    expect((await work).message).toBe('Ctrl-C');
    expect(up.server.graphs.size).toBe(0);
    expect(up.server.seen('/save-to-db')).toEqual([]);
  });
});

describe('a graph as it is sent', () => {
  it('is compressed, or filled up to the least that the site takes', async () => {
    const large = await packGraph(TEXT);
    expect(large.encoding).toBe('gzip');
    expect(large.bytes.length).toBeLessThan(TEXT.length);
    const small = await packGraph('{"nodes":[]}');
    expect(small).toMatchObject({ encoding: null, bytes: { length: 1024 } });
    expect(JSON.parse(Buffer.from(small.bytes).toString())).toEqual({ nodes: [] });
  });

  it('is refused before anything is sent when it is larger than the site takes', async () => {
    expect(await errorOf(packGraph(TEXT, 1500))).toMatchObject({ exitCode: 2, code: 'graph_too_large' });
  });
});

describe('what the site knows of a graph', () => {
  it('is null when it has none, and an error when it does not say', async () => {
    await using up = await started();
    expect(await graphRecord(up.http, NAME, {})).toBeNull();
    up.server.inject('GET', { kind: 'status', status: 500 }, 99);
    expect(await errorOf(graphRecord(up.http, NAME, {}))).toMatchObject({ exitCode: 69 });
  });
});

describe('saving a subgraph', () => {
  it('replaces the one of the same name, and no other', async () => {
    await using up = await started();
    up.server.publish(NAME.model, NAME.slug, { metadata: {} });
    const first = await saveSubgraph(up.http, NAME, SUBGRAPH, {});
    const other = await saveSubgraph(up.http, NAME, { ...SUBGRAPH, displayName: 'other' }, {});
    const again = await saveSubgraph(up.http, NAME, { ...SUBGRAPH, pinnedIds: [] }, {});
    expect(first.isReplaced || other.isReplaced).toBe(false);
    expect(again).toEqual({ id: first.id, isReplaced: true });
    expect(up.server.subgraphs.map(({ displayName, pinnedIds }) => [displayName, pinnedIds])).toEqual([
      ['mine', []],
      ['other', ['1_2_3']],
    ]);
  });

  it('makes one when the answer to the first request is lost', async () => {
    await using up = await started();
    up.server.publish(NAME.model, NAME.slug, { metadata: {} });
    up.server.inject('/subgraph/save', { kind: 'lost' }, 2);
    expect(await saveSubgraph(up.http, NAME, SUBGRAPH, {})).toEqual({ id: 'subgraph-1', isReplaced: false });
    expect(up.server.subgraphs).toHaveLength(1);
  });

  it.each([
    [{ kind: 'status', status: 500, body: { error: 'Failed to save subgraph' } }, 69, 'network_failed'],
    [{ kind: 'status', status: 403, body: { error: 'not yours' } }, 3, 'not_authorised'],
    [{ kind: 'body', body: '{"success":true}' }, 4, 'bad_answer'],
  ] as const)('says what went wrong (%#)', async (fault, exitCode, code) => {
    await using up = await started();
    up.server.publish(NAME.model, NAME.slug, { metadata: {} });
    up.server.inject('/subgraph/save', fault, 99);
    const error = await errorOf(saveSubgraph(up.http, NAME, SUBGRAPH, {}));
    expect(error).toMatchObject({ exitCode, code });
    expect(shown(error)).not.toContain(KEY);
  });
});

describe('where a graph lies', () => {
  it.each(['file:///etc/passwd', 'ftp://127.0.0.1/x'])('is not %s', async (url) => {
    await using peer = await started();
    peer.server.inject('GET', { kind: 'body', body: JSON.stringify({ modelId: 'm', slug: 's', url }) });
    expect(await errorOf(graphRecord(peer.http, NAME, {}))).toMatchObject({
      code: 'bad_answer',
      exitCode: 4,
      message: expect.stringContaining('field url'),
    });
  });
});
