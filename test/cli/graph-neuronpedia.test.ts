/** `tracer graph upload` and `pull` as they are started: exit codes, one document of JSON, and the key in no output. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { NeuronpediaServer, SIGNATURE } from '../support/neuronpedia-server.ts';
import { tracer } from './shared.ts';
import { envelope, FIXTURE, start } from './start.ts';

const KEY = 'sk-np-secret-0123456789';
const FILE = path.join(FIXTURE, 'expected/graph-files/graph-plt-jumprelu-p2.json');
const folder = mkdtempSync(path.join(tmpdir(), 'tracer-cli-neuronpedia-'));
let server: NeuronpediaServer;
beforeAll(async () => {
  server = await NeuronpediaServer.start();
  server.key = KEY;
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

const graph = (...args: string[]) =>
  tracer(['graph', ...args], {
    cwd: folder,
    env: { NEURONPEDIA_BASE_URL: server.baseUrl, NEURONPEDIA_API_KEY: KEY },
  });
const upload = (slug: string, ...args: string[]) =>
  graph('upload', FILE, '--model-id', 'gemma-2-2b', '--slug', slug, ...args);

describe('tracer graph upload', () => {
  it('prints the link, which pull takes, with the key in no output', async () => {
    const uploaded = await upload('dallas', '--verbose', '--subgraph', 'suggested');
    expect(uploaded.exitCode).toBe(0);
    const link = uploaded.stdout.trimEnd().split('\n').at(-1)!;
    expect(link).toContain(`${server.baseUrl}/gemma-2-2b/graph?slug=dallas&subgraph=`);
    const pulled = await graph('pull', link, '--output', 'dallas.json', '--verbose', '--json');
    expect(envelope(pulled)).toMatchObject({
      command: 'graph pull',
      data: { model: 'gemma-2-2b', slug: 'dallas', annotations: { from: 'subgraph' } },
    });
    expect(readdirSync(folder).sort()).toEqual(['dallas.annotations.json', 'dallas.json']);
    expect(JSON.stringify([uploaded, pulled])).not.toContain(KEY);
    expect(JSON.stringify([uploaded, pulled])).not.toContain(SIGNATURE);
  });

  it('fails with the exit code of the refusal, also as JSON', async () => {
    server.inject('/signed-put', { kind: 'status', status: 401, body: { error: `bad key ${KEY}` } });
    const refused = await upload('refused', '--json', '--verbose');
    expect(refused.exitCode).toBe(3);
    expect(envelope(refused).error).toMatchObject({ code: 'not_authorised' });
    expect(JSON.stringify(refused)).not.toContain(KEY);
    expect((await upload('a/b', '--dry-run')).exitCode).toBe(2);
  });

  it('ends on Ctrl-C, and nothing is published', async () => {
    server.inject('PUT', { kind: 'silence' });
    const child = start(['graph', 'upload', FILE, '--model-id', 'gemma-2-2b', '--slug', 'stopped'], {
      cwd: folder,
      env: { NEURONPEDIA_BASE_URL: server.baseUrl, NEURONPEDIA_API_KEY: KEY },
    });
    const ended = once(child, 'exit');
    while (server.seen('PUT /user-graphs/someone/stopped').length === 0) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    child.kill('SIGINT');
    expect((await ended)[0]).toBe(130);
    expect(server.graphs.has('gemma-2-2b/stopped')).toBe(false);
  });
});

describe('tracer graph pull', () => {
  it('leaves nothing when the graph is not there', async () => {
    const missing = await graph('pull', 'gemma-2-2b/nowhere', '--output', 'nowhere.safetensors');
    expect(missing.exitCode).toBe(3);
    expect(missing.stderr).toContain("no graph 'nowhere' of the model 'gemma-2-2b'");
    expect(existsSync(path.join(folder, 'nowhere.safetensors'))).toBe(false);
  });
});
