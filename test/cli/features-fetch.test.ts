/** `tracer features fetch` against a loopback Neuronpedia: what a script sees, a killed run, and the key. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { featurePath, NP_SOURCE, wholeFeatureOf } from '../support/neuronpedia-exports.ts';
import { NeuronpediaServer } from '../support/neuronpedia-server.ts';
import { scratchFolder, type Scratch } from '../support/scratch.ts';
import { tracer } from './shared.ts';
import { envelope, finish, FIXTURE, start } from './start.ts';

const KEY = 'sk-np-secret-0123456789';
const FEATURES = [5, 6, 7, 8];
const ARGS = ['features', 'fetch', '1:5,1/6', '1:7', '1_8', '--source', NP_SOURCE];

let server: NeuronpediaServer;
let scratch: Scratch;
let env: Record<string, string>;

beforeEach(async () => {
  server = await NeuronpediaServer.start();
  scratch = scratchFolder();
  env = {
    TRACER_NEURONPEDIA_DIR: scratch.path,
    NEURONPEDIA_BASE_URL: server.baseUrl,
    NEURONPEDIA_API_KEY: KEY,
  };
  for (const feature of FEATURES) server.pages.set(featurePath(1, feature), wholeFeatureOf(1, feature));
});

afterEach(async () => {
  scratch[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
});

function filesIn(folder: string): [path: string, bytes: string][] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
    .map((path) => [path, readFileSync(path, 'latin1')]);
}

async function seen(path: string): Promise<void> {
  while (server.seen(path).length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
}

describe('tracer features fetch', () => {
  it('fetches, and inspect shows where page and label are from; the key is nowhere', async () => {
    const finished = await tracer([...ARGS, '--json', '--verbose'], { env });
    expect(finished.exitCode).toBe(0);
    expect(envelope(finished)).toMatchObject({
      command: 'features fetch',
      data: { n_fetched: 4, folder: join(scratch.path, 'embedded') },
    });
    expect(finished.stdout + finished.stderr + JSON.stringify(filesIn(scratch.path))).not.toContain(KEY);
    expect(server.requests[0]!.headers['x-api-key']).toBe(KEY);
    const label = await tracer(['features', 'label', '1', '7'], {
      env: { ...env, NEURONPEDIA_BASE_URL: 'http://127.0.0.1:1' },
    });
    expect(label.stdout).toContain('words of text 7');
    expect(label.stdout.replace(/\s+/g, ' ')).toMatch(
      /from Neuronpedia, gpt-4o-mini, oai_token-act-pair, \d{4}-\d\d-\d\d\) kept in \S+embedded/,
    );
    expect(label.stdout).toContain(join(scratch.path, 'embedded'));
  });

  it('takes the features of a graph in some layers, the most influential first', async () => {
    const graph = join(scratch.path, 'dallas.safetensors');
    const prompt = 'The capital of the state containing Dallas is';
    await tracer(['attribute', prompt, '--device', 'wasm', '--output', graph]);
    const args = ['features', 'fetch', '--graph', graph, '--layers', '1-2', '--source', NP_SOURCE, '--json'];
    const plan = envelope(await tracer([...args, '--dry-run'], { env })).data!;
    const layers = plan['layers'] as { layer: number; n_requests: number }[];
    expect(layers.map(({ layer }) => layer)).toEqual([1, 2]);
    expect(plan['n_features']).toBe(layers[0]!.n_requests + layers[1]!.n_requests);
    server.requests.length = 0;
    expect(envelope(await tracer([...args, '--max', '1'], { env })).data).toMatchObject({
      n_unknown: 1,
      stopped: 'max',
    });
    expect(server.requests.map(({ path }) => path)).toEqual([featurePath(1, 392)]);
  });

  it('gives a set without pages of its own examples, whose source inspect shows', async () => {
    server.pages.set(featurePath(0, 1), wholeFeatureOf(0, 1));
    const set = [
      '--model',
      join(FIXTURE, 'model'),
      '--transcoders',
      join(FIXTURE, 'transcoders', 'plt-jumprelu'),
    ];
    const finished = await tracer(['features', 'fetch', '0:1', '--source', NP_SOURCE, ...set], { env });
    expect(finished.stdout).toMatch(/fetched +1 page of 1 feature/);
    const inspect = ['inspect', '--layer', '0', '--feature', '1', ...set];
    const shown = (await tracer(inspect, { env })).stdout.replace(/\s+/g, ' ');
    expect(shown).toContain('words of text 1 (from Neuronpedia, gpt-4o-mini');
    expect(shown).toMatch(/page from Neuronpedia, some-model\/0-some-transcoder, \d{4}-\d\d-\d\d/);
    expect(shown).toContain('[ word0] of text1');
    const { page } = envelope(await tracer([...inspect, '--json'], { env })).data as {
      page: { fetched: object };
    };
    expect(page.fetched).toMatchObject({ site: 'neuronpedia', note: null });
  });

  it('ends with the same bytes after it was killed, and what it had is not asked for again', async () => {
    await tracer(ARGS, { env });
    const whole = filesIn(scratch.path);
    rmSync(join(scratch.path, 'embedded'), { recursive: true });
    const third = featurePath(1, FEATURES[2]!);
    server.requests.length = 0;
    server.inject(third, { kind: 'stall', afterBytes: 100 });
    const child = start(ARGS, { env });
    await seen(third);
    child.kill('SIGKILL');
    await finish(child);
    expect(
      filesIn(scratch.path)
        .map(([path]) => path.slice(scratch.path.length + 1))
        .filter((path) => path.endsWith('.bin')),
    ).toEqual(['embedded/.single/1_5.bin', 'embedded/.single/1_6.bin']);
    server.requests.length = 0;
    expect((await tracer(ARGS, { env })).exitCode).toBe(0);
    expect(server.requests.map(({ path }) => path)).toEqual([third, featurePath(1, FEATURES[3]!)]);
    expect(filesIn(scratch.path)).toEqual(whole);
  });

  it('keeps what is complete when Ctrl-C comes, and exits with 130', async () => {
    const second = featurePath(1, FEATURES[1]!);
    server.inject(second, { kind: 'stall', afterBytes: 100 });
    const child = start(ARGS, { env });
    await seen(second);
    child.kill('SIGINT');
    const finished = await finish(child);
    expect(finished.exitCode).toBe(130);
    expect(filesIn(scratch.path).map(([path]) => path.slice(scratch.path.length + 1))).toEqual([
      'embedded/fetched.json',
      'embedded/layer_1.bin',
    ]);
  });
});
