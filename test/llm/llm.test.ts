/** The client of language models against a loopback peer that fails in every way. */
import { getEventListeners } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import { llmAddress } from '../../src/llm/address.ts';
import { Llm } from '../../src/llm/llm.ts';
import { errorOf, shown } from '../support/failures.ts';
import { LlmServer } from '../support/llm-server.ts';

const KEY = 'sk-secret-0123456789';
const QUESTION = {
  model: 'some-model',
  messages: [{ role: 'user', content: 'Hello' }],
  maxTokens: 50,
} as const;

async function open(server: LlmServer, { key = KEY, timeoutMs = 2_000 } = {}) {
  const notices: string[] = [];
  const address = llmAddress({ baseUrl: server.baseUrl }, { OPENAI_API_KEY: key });
  const llm = await Llm.open(address, {
    timeoutMs,
    proxyFor: () => undefined,
    onNotice: (text) => notices.push(text),
    retry: { attempts: 3, firstWaitMs: 1 },
  });
  return { llm, notices };
}

describe('a request to a language model', () => {
  it('sends the key in one header, and asks for temperature 0', async () => {
    await using server = await LlmServer.start();
    server.key = KEY;
    const { llm } = await open(server);
    const completion = await llm.complete(QUESTION);
    expect(completion).toEqual({
      text: 'Label: cities of Texas',
      isCut: false,
      tokens: { prompt: 100, completion: 10 },
    });
    const [request] = server.requests;
    expect(request!.path).toBe('/v1/chat/completions');
    expect(request!.body).toMatchObject({ model: 'some-model', max_tokens: 50, temperature: 0 });
    expect(JSON.stringify({ ...request!.headers, authorization: '' })).not.toContain(KEY);
  });

  it.each([
    [KEY, 'Label: ***\nor ***'],
    ['of', 'Label: of\nor of'],
  ])('has no key in an answer that repeats it, unless it is a short word: %s', async (key, text) => {
    await using server = await LlmServer.start();
    server.faults.push({ kind: 'says', text: `Label: ${key}\nor ${key}` });
    const { llm } = await open(server, { key });
    expect((await llm.complete(QUESTION)).text).toBe(text);
  });

  it.each([
    { prompt_tokens: -1_000_000, completion_tokens: 5 },
    { prompt_tokens: 'many' },
    { total_tokens: 15 },
  ])('takes counts of tokens that are none as missing: %j', async (usage) => {
    await using server = await LlmServer.start();
    const body = JSON.stringify({ choices: [{ message: { content: 'Label: x' } }], usage });
    server.faults.push({ kind: 'body', body });
    const { llm } = await open(server);
    expect(await llm.complete(QUESTION)).toEqual({ text: 'Label: x', isCut: false, tokens: null });
  });

  it('sends no header of a key, organisation or project where there is none', async () => {
    await using server = await LlmServer.start();
    process.env['OPENAI_ORG_ID'] = 'org-of-somebody';
    try {
      const { llm } = await open(server, { key: '' });
      await llm.complete(QUESTION);
    } finally {
      delete process.env['OPENAI_ORG_ID'];
    }
    const { headers } = server.requests[0]!;
    expect(headers.authorization).toBeUndefined();
    expect(JSON.stringify(headers)).not.toContain('org-of-somebody');
  });

  it.each([
    [401, {}, 'not_authorised', 3],
    [403, {}, 'not_authorised', 3],
    [404, {}, 'llm_not_found', 3],
    [402, {}, 'no_quota', 3],
    [429, { code: 'insufficient_quota' }, 'no_quota', 3],
    [400, {}, 'request_refused', 2],
  ])('with status %d and %j is not repeated: %s, exit code %d', async (status, error, code, exitCode) => {
    await using server = await LlmServer.start();
    server.faults.push({ kind: 'status', status, error: { message: `no, not with ${KEY}`, ...error } });
    const { llm } = await open(server);
    const failure = await errorOf(llm.complete(QUESTION));
    expect(failure).toMatchObject({ code, exitCode });
    expect(failure.message).toContain(String(status));
    expect(failure.message).toContain('no, not with ***');
    expect(shown(failure)).not.toContain(KEY);
    expect(server.requests.length).toBe(1);
  });

  it('names the variable of the key where the server wants one', async () => {
    await using server = await LlmServer.start();
    server.key = KEY;
    const { llm } = await open(server, { key: '' });
    const failure = await errorOf(llm.complete(QUESTION));
    expect(failure.hint).toContain('OPENAI_API_KEY');
  });

  it('waits as long as Retry-After says, and says so', async () => {
    await using server = await LlmServer.start();
    server.faults.push({ kind: 'status', status: 429, headers: { 'retry-after': '1' } });
    const { llm, notices } = await open(server);
    const startMs = performance.now();
    expect((await llm.complete(QUESTION)).text).toContain('Label');
    expect(performance.now() - startMs).toBeGreaterThan(950);
    expect(notices).toEqual([expect.stringMatching(/answered 429.*trying again in 1\.0 s/)]);
  });

  it('does not wait longer than is sensible', async () => {
    await using server = await LlmServer.start();
    server.faults.push({ kind: 'status', status: 429, headers: { 'retry-after': '7200' } });
    const { llm } = await open(server);
    const failure = await errorOf(llm.complete(QUESTION));
    expect(failure).toMatchObject({ code: 'network_failed', exitCode: 69 });
    expect(failure.message).toContain('7200 s');
  });

  it.each([
    ['500', { kind: 'status', status: 500 }],
    ['503', { kind: 'status', status: 503 }],
    ['a connection cut before the answer', { kind: 'cut', afterBytes: 0 }],
    ['a connection cut in the answer', { kind: 'cut', afterBytes: 40 }],
  ] as const)('is repeated after %s, and fails when it stays so', async (_name, fault) => {
    await using server = await LlmServer.start();
    const { llm, notices } = await open(server);
    server.faults.push(fault, fault);
    expect((await llm.complete(QUESTION)).text).toBe('Label: cities of Texas');
    expect(notices.length).toBe(2);
    server.faults.push(fault, fault, fault);
    const failure = await errorOf(llm.complete(QUESTION));
    expect(failure).toMatchObject({ code: 'network_failed', exitCode: 69 });
    expect(failure.hint).toContain('kept');
    expect(shown(failure)).not.toContain(KEY);
  });

  it.each([0, 40])('gives up on a server that says nothing more after %d bytes', async (afterBytes) => {
    await using server = await LlmServer.start();
    const stall = { kind: 'stall', afterBytes } as const;
    server.faults.push(stall, stall, stall);
    const { llm } = await open(server, { timeoutMs: 100 });
    const failure = await errorOf(llm.complete(QUESTION));
    expect(failure).toMatchObject({ code: 'network_failed', exitCode: 69 });
    expect(server.requests.length).toBe(3);
  });

  it.each([
    ['a page', { kind: 'body', body: '<html>Sign in</html>', type: 'text/html' }],
    ['broken JSON', { kind: 'body', body: '{"choices":[' }],
    ['no choice', { kind: 'body', body: '{"choices":[]}' }],
    ['another document', { kind: 'body', body: '{"models":[]}' }],
    ['a list', { kind: 'body', body: '[]' }],
    ['null', { kind: 'body', body: 'null' }],
  ] as const)('is told that %s is no completion', async (_name, fault) => {
    await using server = await LlmServer.start();
    server.faults.push(fault);
    const { llm } = await open(server);
    expect(await errorOf(llm.complete(QUESTION))).toMatchObject({ code: 'bad_answer', exitCode: 4 });
    expect(server.requests.length).toBe(1);
  });

  it('does not follow a redirect, which could take the key elsewhere', async () => {
    await using elsewhere = await LlmServer.start();
    await using server = await LlmServer.start();
    const headers = { location: `${elsewhere.baseUrl}/chat/completions` };
    server.faults.push({ kind: 'status', status: 307, headers });
    const { llm } = await open(server);
    expect(await errorOf(llm.complete(QUESTION))).toMatchObject({ code: 'request_refused', exitCode: 69 });
    expect(elsewhere.requests.length).toBe(0);
  });

  it('leaves out what a model refuses, also in later requests', async () => {
    await using server = await LlmServer.start();
    const refuse = (param: string) =>
      ({
        kind: 'status',
        status: 400,
        error: { message: `Unsupported parameter: '${param}'`, param },
      }) as const;
    server.faults.push(refuse('max_tokens'), refuse('temperature'));
    const { llm } = await open(server);
    await llm.complete(QUESTION);
    await llm.complete(QUESTION);
    expect(server.requests.length).toBe(4);
    for (const { body } of server.requests.slice(2)) {
      expect(body).toMatchObject({ max_completion_tokens: 50 });
      expect(Object.keys(body).sort()).toEqual(['max_completion_tokens', 'messages', 'model']);
    }
  });

  it('leaves no listener at the signal, whether it succeeds or fails', async () => {
    await using server = await LlmServer.start();
    const { signal } = new AbortController();
    const { llm } = await open(server);
    await llm.complete({ ...QUESTION, signal });
    server.faults.push({ kind: 'status', status: 404 });
    await errorOf(llm.complete({ ...QUESTION, signal }));
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('says what a server says that answers an error with status 200', async () => {
    await using server = await LlmServer.start();
    const body = JSON.stringify({ error: { message: `model ${KEY} is not loaded` } });
    server.faults.push({ kind: 'body', body });
    const { llm } = await open(server);
    const error = await errorOf(llm.complete(QUESTION));
    expect(error).toMatchObject({ exitCode: 4, code: 'bad_answer' });
    expect(shown(error)).toContain('model *** is not loaded');
  });

  it('ends with the reason of its signal', async () => {
    await using server = await LlmServer.start();
    server.faults.push({ kind: 'stall', afterBytes: 0 });
    const { llm } = await open(server);
    const stop = new AbortController();
    const reason = new Error('enough');
    setTimeout(() => stop.abort(reason), 50);
    expect(await errorOf(llm.complete({ ...QUESTION, signal: stop.signal }))).toBe(reason);
  });
});

describe('the address of a server', () => {
  it.each([
    [{}, {}, 'no_server'],
    [{ baseUrl: 'localhost:11434' }, {}, 'bad_server'],
    [{ baseUrl: `https://me:${KEY}@llm.example.org/v1` }, {}, 'bad_server'],
    [{ baseUrl: `https://llm.example.org/v1?key=${KEY}` }, {}, 'bad_server'],
    [{ baseUrl: 'https://llm.example.org/v1', keyVariable: KEY }, {}, 'bad_value'],
    [{ baseUrl: 'https://llm.example.org/v1' }, { OPENAI_API_KEY: `${KEY}\n${KEY}` }, 'bad_key'],
    [{ baseUrl: 'https://llm.example.org/v1', offline: true }, {}, 'offline'],
  ])('%j with %j is refused: %s', (request, env, code) => {
    const address = () => llmAddress(request, env);
    expect(address).toThrow(expect.objectContaining({ code }));
    expect(address).not.toThrow(new RegExp(KEY));
  });

  it('may be one of this machine while the network is off', () => {
    const { host, isLocal } = llmAddress({ baseUrl: 'http://localhost:11434/v1/', offline: true }, {});
    expect([host, isLocal]).toEqual(['localhost:11434', true]);
  });
});
