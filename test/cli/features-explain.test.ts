/** `tracer features explain` against a loopback server with OpenAI's interface. */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  mkdtempSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { LlmServer, SOME_LABEL } from '../support/llm-server.ts';
import { tracer } from './shared.ts';
import { envelope, finish, start, type Finished } from './start.ts';

const KEY = 'sk-secret-0123456789';
const root = mkdtempSync(join(tmpdir(), 'tracer-explain-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let n_folders = 0;

/** A server, and a folder for labels of its own. */
async function setUp() {
  const server = await LlmServer.start();
  const labels = join(root, `labels-${++n_folders}`);
  mkdirSync(labels);
  const env = { TRACER_LABELS_DIR: labels, OPENAI_BASE_URL: server.baseUrl, OPENAI_API_KEY: KEY };
  const explain = (...args: string[]): Promise<Finished> =>
    tracer(['features', 'explain', '--explainer', 'some-model', ...args], { env });
  return { server, labels, env, explain, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

function everythingIn(folder: string): string {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  return files
    .map((entry) => entry.name + readFileSync(join(entry.parentPath, entry.name), 'utf8'))
    .join('\n');
}

describe('tracer features explain', () => {
  it('keeps a label with its score, model and version of prompts, and it is shown where labels are', async () => {
    await using setup = await setUp();
    setup.server.key = KEY;
    const finished = await setup.explain('1:392', '--json');
    const data = envelope(finished).data!;
    expect(data).toMatchObject({
      dry_run: false,
      n_labelled: 1,
      explainer: 'some-model',
      scorer: 'some-model',
      stopped: null,
      tokens: { prompt: 200, completion: 20, budget: null },
      labels: [{ layer: 1, feature: 392, text: SOME_LABEL, model: 'some-model', prompt_version: 1 }],
    });
    const [label] = data['labels'] as Record<string, number>[];
    expect(label!['score']).toBeGreaterThan(0.7);
    expect(label!['n_positive']! + label!['n_negative']!).toBeGreaterThan(4);
    expect(finished.stdout + finished.stderr + everythingIn(setup.labels)).not.toContain(KEY);
    const { env } = setup;
    const shown = await tracer(['features', 'label', '1', '392', '--json'], { env });
    expect(envelope(shown).data!['label']).toMatchObject({
      text: SOME_LABEL,
      origin: 'model',
      made_by: { model: 'some-model', score: label!['score'], prompt_version: 1 },
    });
    const text = await tracer(['inspect', '--layer', '1', '--feature', '392', '--device', 'wasm'], { env });
    expect(text.stdout).toMatch(new RegExp(`${SOME_LABEL} \\(by some-model, score 0\\.\\d+`));
    // What a person writes takes precedence, and the model's is there again without it.
    await tracer(['features', 'label', '1', '392', 'mine'], { env });
    const mine = await tracer(['features', 'label', '1', '392', '--json'], { env });
    expect(envelope(mine).data!['label']).toMatchObject({ text: 'mine', origin: 'edited' });
    await tracer(['features', 'label', '1', '392', ''], { env });
    const back = await tracer(['features', 'label', '1', '392'], { env });
    expect(back.stdout).toContain('by some-model, score');
  });

  it('goes on where it ended, and asks no question twice', async () => {
    await using setup = await setUp();
    const { server, explain } = setup;
    const first = envelope(await explain('--layers', '1:2', '--limit', '3', '--json')).data!;
    expect(first).toMatchObject({ n_labelled: 3, n_skipped: 0, stopped: 'limit' });
    const n_requests = server.requests.length;
    const second = envelope(await explain('--layers', '1:2', '--limit', '2', '--json')).data!;
    expect(second).toMatchObject({ n_labelled: 2, n_skipped: 3 });
    const asked = server.requests.map(({ body }) => JSON.stringify(body.messages));
    expect(new Set(asked).size).toBe(asked.length);
    expect(asked.length).toBeGreaterThan(n_requests);
    // Other models and --again make new ones.
    const scored = envelope(
      await explain('--layers', '1:2', '--limit', '1', '--scorer', 'other', '--json'),
    ).data!;
    expect(scored).toMatchObject({ n_skipped: 0, labels: [{ scorer: 'other' }] });
    const again = envelope(await explain('--layers', '1:2', '--limit', '1', '--again', '--json')).data!;
    expect(again).toMatchObject({ n_skipped: 0, n_labelled: 1 });
  });

  it('keeps what is complete when the server fails, says so, and leaves nothing half written', async () => {
    await using setup = await setUp();
    const { server, explain, labels } = setup;
    // The third feature's score is refused.
    server.faults.push(...new Array<undefined>(5), {
      kind: 'status',
      status: 401,
      error: { message: `bad ${KEY}` },
    });
    const finished = await explain('1:392', '2:15', '2:16', '--concurrency', '1', '--json', '--verbose');
    expect(finished.exitCode).toBe(3);
    expect(envelope(finished).error).toMatchObject({ code: 'not_authorised' });
    expect(finished.stderr).toContain('2 labels kept, written before that');
    expect(finished.stdout + finished.stderr).not.toContain(KEY);
    expect(readdirSync(labels)).toEqual(['by-model']);
    const [file, ...others] = readdirSync(join(labels, 'by-model'));
    expect(others).toEqual([]);
    const kept = JSON.parse(readFileSync(join(labels, 'by-model', file!), 'utf8')) as { labels: object };
    expect(Object.keys(kept.labels)).toEqual(['1_392', '2_15']);
    const next = envelope(await explain('1:392', '2:15', '2:16', '--json')).data!;
    expect(next).toMatchObject({ n_labelled: 1, n_skipped: 2 });
  });

  it('asks nothing where no label could be kept', async () => {
    await using setup = await setUp();
    const file = join(root, 'file');
    writeFileSync(file, '');
    const env = { ...setup.env, TRACER_LABELS_DIR: file };
    const refused = await tracer(['features', 'explain', '--explainer', 'some-model', '1:392', '--json'], {
      env,
    });
    expect(refused.exitCode).toBe(5);
    expect(envelope(refused).error).toMatchObject({
      code: 'not_writable',
      message: `${file} is a file, but a folder is needed there`,
    });
    expect(setup.server.requests).toEqual([]);
  });

  it('keeps what is complete when it is stopped', async () => {
    await using setup = await setUp();
    setup.server.delayMs = 100;
    const args = ['features', 'explain', '--explainer', 'm', '--layers', '1:2', '--concurrency', '2'];
    const child = start(args, { env: setup.env });
    const ended = finish(child);
    while (setup.server.requests.length < 12) await new Promise((resolve) => setTimeout(resolve, 20));
    child.kill('SIGINT');
    expect((await ended).exitCode).toBe(130);
    const listed = everythingIn(join(setup.labels, 'by-model'));
    expect(listed).toContain(SOME_LABEL);
    expect(listed).not.toContain('.lock');
  });

  it('costs no more than its budget', async () => {
    await using setup = await setUp();
    const { server, explain } = setup;
    const args = ['--layers', '1:2', '--budget', '5000', '--answer-tokens', '50', '--json'];
    const data = envelope(await explain(...args)).data!;
    expect(data).toMatchObject({ stopped: 'budget' });
    const { prompt, completion } = data['tokens'] as Record<string, number>;
    expect(prompt! + completion!).toBe(110 * server.requests.length);
    expect(prompt! + completion!).toBeLessThanOrEqual(5000);
    expect(data['n_labelled']).toBeGreaterThan(1);
  });

  it('asks so many at once as it may', async () => {
    await using setup = await setUp();
    setup.server.delayMs = 50;
    await setup.explain('--layers', '1:2', '--limit', '9', '--concurrency', '3');
    expect(setup.server.mostAtOnce).toBe(3);
  });

  it('shows the first prompt and the cost, and sends nothing, in a dry run', async () => {
    await using setup = await setUp();
    const { server, env, explain, labels } = setup;
    const data = envelope(await explain('1:392', '2:15', '--dry-run', '--json')).data!;
    expect(data).toMatchObject({ dry_run: true, first: { layer: 1, feature: 392 } });
    expect(data['cost']).toMatchObject({ n_features: 2, n_requests: 4, n_sampled: 2 });
    const text = await tracer(['features', 'explain', '--layers', '0:4', '--dry-run'], {
      env: { TRACER_LABELS_DIR: env.TRACER_LABELS_DIR },
    });
    expect(text.stdout).toMatch(/First prompt: layer 0, feature 0/);
    expect(text.stdout).toMatch(/tokens asked +about [\d,]+, from 50 of them/);
    expect(server.requests.length).toBe(0);
    expect(readdirSync(labels)).toEqual([]);
    // The estimate is what is asked then.
    const { messages } = data['first'] as { messages: object };
    await explain('1:392');
    expect(server.requests[0]!.body.messages).toEqual(messages);
  });

  it('takes the features of a graph, the most influential first', async () => {
    await using setup = await setUp();
    const graph = join(root, 'dallas.safetensors');
    if (!existsSync(graph)) {
      const prompt = 'The capital of the state containing Dallas is';
      await tracer(['attribute', prompt, '--device', 'wasm', '--output', graph]);
    }
    const data = envelope(await setup.explain('--graph', graph, '--limit', '1', '--json')).data!;
    expect(data['labels']).toMatchObject([{ layer: 1, feature: 392 }]);
  });

  it('goes on after an answer that says nothing, and fails when no answer does', async () => {
    await using setup = await setUp();
    const { server, explain } = setup;
    server.faults.push({ kind: 'says', text: 'I cannot\nhelp with that.' }, undefined, {
      kind: 'says',
      text: '[1]',
    });
    const args = ['1:392', '2:15', '2:16', '--concurrency', '1', '--json'];
    const data = envelope(await explain(...args)).data!;
    expect(data).toMatchObject({ n_labelled: 1, labels: [{ feature: 16 }] });
    expect(data['failed']).toMatchObject([
      { feature: 392, reason: 'no label in the answer' },
      { feature: 15, reason: expect.stringMatching(/^no list of \d+ zeros and ones/) },
    ]);
    server.faults.push({ kind: 'says', text: '<think>hm', isCut: true });
    const failed = await explain('1:392', '--answer-tokens', '7', '--json');
    expect(failed.exitCode).toBe(4);
    expect(envelope(failed).error).toMatchObject({
      code: 'no_labels',
      message: expect.stringContaining('cut at 7 tokens'),
    });
  });

  it('counts tokens itself where the server does not', async () => {
    await using setup = await setUp();
    setup.server.countsTokens = false;
    const data = envelope(await setup.explain('1:392', '--json')).data!;
    expect((data['tokens'] as Record<string, number>)['prompt']).toBeGreaterThan(300);
  });

  it('does not overwrite a damaged file of labels', async () => {
    await using setup = await setUp();
    const folder = join(setup.labels, 'by-model');
    mkdirSync(folder);
    await setup.explain('1:392');
    const file = join(folder, readdirSync(folder)[0]!);
    writeFileSync(file, '{"format":');
    const finished = await setup.explain('2:15', '--json');
    expect([finished.exitCode, envelope(finished).error!.code]).toEqual([4, 'json_syntax']);
    expect(readFileSync(file, 'utf8')).toBe('{"format":');
  });

  it.each([
    [[], 'no_features', 2],
    [['1:392', '--layers', '0:1'], 'flags_exclude_each_other', 2],
    [['1.392'], 'bad_value', 2],
    [['9:1'], 'out_of_range', 2],
    [['--layers', '0:9'], 'out_of_range', 2],
    [['1:392', '--base-url', 'https://llm.example.org/v1'], 'offline', 69],
    [['1:392', '--key-env', KEY], 'bad_value', 2],
    [['--graph', 'nowhere.safetensors'], 'file_not_found', 3],
  ])('refuses %j: %s', async (args, code, exitCode) => {
    await using setup = await setUp();
    const finished = await setup.explain(...args, '--json');
    expect([finished.exitCode, envelope(finished).error!.code]).toEqual([exitCode, code]);
    expect(finished.stdout + finished.stderr).not.toContain(KEY);
    expect(setup.server.requests.length).toBe(0);
  });

  it('takes no time limit that a timer cannot hold', async () => {
    await using setup = await setUp();
    const refused = await setup.explain('1:392', '--timeout', '99999999', '--json');
    expect(refused.exitCode).toBe(2);
    expect(envelope(refused).error!.message).toBe(
      "--timeout: expected a whole number from 1 to 86400, found '99999999'",
    );
    expect(setup.server.requests).toEqual([]);
  });

  it('asks for the name of a model and of a server', async () => {
    const none = await tracer(['features', 'explain', '1:392', '--json']);
    expect(envelope(none).error!.code).toBe('no_explainer');
    const env = { OPENAI_BASE_URL: '' };
    const nowhere = await tracer(['features', 'explain', '1:392', '--explainer', 'm', '--json'], { env });
    expect(envelope(nowhere).error!.code).toBe('no_server');
  });
});
