/** The client of Neuronpedia's API against a loopback peer that fails in every way. */
import { describe, expect, it } from '@jest/globals';
import * as v from 'valibot';
import { jsonObject } from '../../src/formats/json-object.ts';
import { neuronpediaAddress } from '../../src/neuronpedia/address.ts';
import { NeuronpediaHttp, type NeuronpediaOptions } from '../../src/neuronpedia/http.ts';
import { askJson } from '../../src/neuronpedia/json.ts';
import { errorOf, shown } from '../support/failures.ts';
import { NeuronpediaServer, SIGNATURE } from '../support/neuronpedia-server.ts';

const KEY = 'sk-np-secret-0123456789';
const PATH = '/api/feature/gemma-2-2b/0-set/7';
const PAGE = { index: '7', text: 'x'.repeat(1000) };
const Page = jsonObject({ index: v.string() });

function open(server: NeuronpediaServer, options: Partial<NeuronpediaOptions> = {}, key = KEY) {
  const notices: string[] = [];
  const address = neuronpediaAddress({ baseUrl: server.baseUrl }, { NEURONPEDIA_API_KEY: key });
  const http = new NeuronpediaHttp(address, {
    proxyFor: () => undefined,
    onNotice: (text) => notices.push(text),
    retry: { attempts: 3, firstWaitMs: 1 },
    stallMs: 2_000,
    msBetween: 0,
    ...options,
  });
  return { http, notices };
}

async function started(): Promise<NeuronpediaServer> {
  const server = await NeuronpediaServer.start();
  server.pages.set(PATH, PAGE);
  return server;
}

describe("a request to Neuronpedia's API", () => {
  it('sends the key in x-api-key to the site, and nowhere else', async () => {
    await using server = await started();
    server.publish('gemma-2-2b', 'dallas', { metadata: {} });
    const { http } = open(server);
    expect(await askJson(http, PATH, Page)).toEqual({ index: '7' });
    await http.body({ url: `${server.storageUrl}/user-graphs/someone/dallas.json` }, 1000);
    const [ofSite, ofStorage] = server.requests;
    expect(ofSite!.headers['x-api-key']).toBe(KEY);
    expect(JSON.stringify(ofStorage!.headers)).not.toContain(KEY);
  });

  it.each([
    ['a status that passes', { kind: 'status', status: 503 }],
    ['a limit of requests', { kind: 'status', status: 429, headers: { 'retry-after': '0' } }],
    ['an answer that is cut', { kind: 'cut', afterBytes: 100 }],
    ['an answer that stalls', { kind: 'stall', afterBytes: 100 }],
    ['no answer', { kind: 'lost' }],
  ] as const)('tries again after %s, and says so', async (_, fault) => {
    await using server = await started();
    server.inject(PATH, fault, 2);
    const { http, notices } = open(server, { stallMs: 200 });
    expect(await askJson(http, PATH, Page)).toEqual({ index: '7' });
    expect(server.requests).toHaveLength(3);
    expect(notices).toHaveLength(2);
    expect(notices.join()).toContain('trying again');
  });

  it.each([
    ['503', { kind: 'status', status: 503, body: { error: `no ${KEY}` } }],
    ['a cut', { kind: 'cut', afterBytes: 10 }],
    ['silence', { kind: 'stall', afterBytes: 10 }],
  ] as const)('gives up after some tries of %s with exit code 69', async (_, fault) => {
    await using server = await started();
    server.inject(PATH, fault, 99);
    const error = await errorOf(askJson(open(server, { stallMs: 50 }).http, PATH, Page));
    expect(error).toMatchObject({ code: 'network_failed', exitCode: 69 });
    expect(error.message).toContain('gave up after 3 tries');
    expect(shown(error)).not.toContain(KEY);
    expect(server.requests).toHaveLength(3);
  });

  it('waits as long as the server asks, and gives up where that is too long', async () => {
    await using server = await started();
    server.inject(PATH, { kind: 'status', status: 429, headers: { 'retry-after': '1' } });
    const start = Date.now();
    await askJson(open(server).http, PATH, Page);
    expect(Date.now() - start).toBeGreaterThanOrEqual(990);
    server.inject(PATH, { kind: 'status', status: 429, headers: { 'retry-after': '3600' } });
    const error = await errorOf(askJson(open(server).http, PATH, Page));
    expect(error.exitCode).toBe(69);
    expect(error.message).toContain('wait 3600 s');
  });

  it.each([
    [401, 3, 'not_authorised', 'NEURONPEDIA_API_KEY'],
    [403, 3, 'not_authorised', 'NEURONPEDIA_API_KEY'],
    [404, 3, 'neuronpedia_not_found', 'names in the address'],
    [400, 2, 'request_refused', 'Correct what it names'],
    [302, 69, 'request_refused', '--base-url'],
  ])('names path, status and next step for %d', async (status, exitCode, code, hint) => {
    await using server = await started();
    server.inject(PATH, { kind: 'status', status, body: { error: `not with ${KEY}` } });
    const error = await errorOf(askJson(open(server).http, PATH, Page, { send: {} }));
    expect(error).toMatchObject({ exitCode, code });
    expect(error.message).toContain(`POST ${new URL(server.baseUrl).host}${PATH} answered`);
    expect(error.message).toContain(String(status));
    expect(error.hint).toContain(hint);
    expect(shown(error)).not.toContain(KEY);
    expect(server.requests).toHaveLength(1);
  });

  it.each([
    ['a web page', '<!DOCTYPE html><p>Sign in</p>', 'is not JSON'],
    ['JSON of another form', '{"index":7}', 'field index: expected string'],
    ['a list', '[]', 'expected Object'],
  ])('refuses %s in place of the answer with exit code 4', async (_, body, why) => {
    await using server = await started();
    server.inject(PATH, { kind: 'body', body });
    const error = await errorOf(askJson(open(server).http, PATH, Page));
    expect(error).toMatchObject({ code: 'bad_answer', exitCode: 4 });
    expect(error.message).toContain(`GET ${new URL(server.baseUrl).host}${PATH}`);
    expect(error.message).toContain(why);
  });

  it('refuses an answer that is too large', async () => {
    await using server = await started();
    const error = await errorOf(open(server).http.body({ url: PATH }, 500));
    expect(error).toMatchObject({ code: 'answer_too_large', exitCode: 4 });
  });

  it('shows neither the query of a signed address nor what a storage says of it', async () => {
    await using server = await started();
    const url = `${server.storageUrl}/elsewhere.json?${SIGNATURE}`;
    const error = await errorOf(open(server).http.body({ url, method: 'PUT', body: '{}' }, 500));
    expect(error).toMatchObject({ code: 'storage_refused', exitCode: 3 });
    expect(error.message).toContain('AccessDenied');
    expect(shown(error)).not.toContain(SIGNATURE);
  });

  it('follows a redirect of a question without the key, and none of what is sent', async () => {
    await using server = await started();
    server.publish('gemma-2-2b', 'dallas', { metadata: {} });
    const location = `${server.storageUrl}/user-graphs/someone/dallas.json`;
    const moved = { kind: 'status', status: 307, headers: { location } } as const;
    server.inject('site', moved, 2);
    const { http } = open(server);
    expect((await http.body({ url: PATH }, 1000)).toString()).toBe('{"metadata":{}}');
    expect(JSON.stringify(server.seen('storage')[0]!.headers)).not.toContain(KEY);
    const error = await errorOf(askJson(http, PATH, Page, { send: {} }));
    expect(error).toMatchObject({ code: 'request_refused', exitCode: 69 });
    expect(server.seen('storage')).toHaveLength(1);
  });

  it('asks nobody while the network is off, and no plain http address that an answer names', async () => {
    const address = neuronpediaAddress({}, {});
    const options = { proxyFor: () => undefined, onNotice: () => undefined };
    const off = new NeuronpediaHttp(address, { ...options, offline: true });
    expect(await errorOf(askJson(off, PATH, Page))).toMatchObject({ code: 'offline', exitCode: 69 });
    const on = new NeuronpediaHttp(address, options);
    for (const url of ['http://storage.example/graph.json', 'http://127.0.0.1:1/', 'https://localhost/']) {
      expect(await errorOf(on.body({ url }, 10))).toMatchObject({ code: 'request_refused', exitCode: 69 });
    }
  });

  it('stops at once when it is cancelled', async () => {
    await using server = await started();
    server.inject(PATH, { kind: 'stall', afterBytes: 10 });
    const controller = new AbortController();
    const work = errorOf(askJson(open(server).http, PATH, Page, { signal: controller.signal }));
    setTimeout(() => controller.abort(new Error('Ctrl-C')), 50);
    expect((await work).message).toBe('Ctrl-C');
  });

  it('keeps its distance between requests', async () => {
    await using server = await started();
    const { http } = open(server, { msBetween: 100 });
    const start = Date.now();
    await Promise.all([1, 2, 3, 4].map(() => askJson(http, PATH, Page)));
    expect(Date.now() - start).toBeGreaterThanOrEqual(290);
  });
});

describe('the address of Neuronpedia', () => {
  it('is that of the site unless the request or the environment names another', () => {
    expect(neuronpediaAddress({}, {})).toMatchObject({
      baseUrl: 'https://www.neuronpedia.org',
      key: undefined,
    });
    const env = { NEURONPEDIA_BASE_URL: 'http://localhost:3000/', NEURONPEDIA_API_KEY: ` ${KEY}\n` };
    expect(neuronpediaAddress({}, env)).toEqual({
      baseUrl: 'http://localhost:3000',
      host: 'localhost:3000',
      isLocal: true,
      key: KEY,
    });
    expect(neuronpediaAddress({ baseUrl: 'https://np.example' }, env).host).toBe('np.example');
  });

  it.each([
    [{ baseUrl: 'np.example' }, {}],
    [{ baseUrl: 'https://me:secret@np.example' }, {}],
    [{}, { NEURONPEDIA_BASE_URL: 'file:///etc' }],
    [{}, { NEURONPEDIA_API_KEY: 'two secret words' }],
  ])('refuses what is no address or no key without repeating it (%#)', async (request, env) => {
    const error = await errorOf(Promise.resolve().then(() => neuronpediaAddress(request, env)));
    expect(error.exitCode).toBe(2);
    expect(shown(error)).not.toContain('secret');
  });
});
