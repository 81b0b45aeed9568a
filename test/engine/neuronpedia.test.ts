/** `graph upload` and `graph pull` against a loopback peer: what goes there comes back, and nothing is written or claimed by halves. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { diffFiles, pruneFile, topOfFile } from '../../src/engine/graph/graph.ts';
import type { PullRequest, UploadRequest } from '../../src/engine/graph/neuronpedia-types.ts';
import { pullGraph } from '../../src/engine/graph/pull.ts';
import { uploadGraph } from '../../src/engine/graph/upload.ts';
import type { EngineEvent } from '../../src/engine/request.ts';
import type { TracerError } from '../../src/errors.ts';
import {
  annotationsPath,
  emptyAnnotations,
  readAnnotations,
  writeAnnotations,
} from '../../src/graph/annotations.ts';
import { readGraph, writeGraph } from '../../src/graph/files.ts';
import { edgeWeight } from '../../src/graph/graph.ts';
import { nodeId } from '../../src/graph/nodes.ts';
import { readViewerGraph } from '../../src/graph/read-viewer.ts';
import { readGolden } from '../graph/golden.ts';
import { neuronpediaSchema } from '../graph/neuronpedia-schema.ts';
import { NeuronpediaServer, SIGNATURE, type NeuronpediaFault } from '../support/neuronpedia-server.ts';
import { environment } from '../support/scratch.ts';
import * as v from 'valibot';

const KEY = 'sk-np-secret-0123456789';
const GOLDEN = path.join(import.meta.dirname, '../fixtures/golden/tiny-a');
const MODEL = path.join(GOLDEN, 'model');
const REFERENCE = path.join(GOLDEN, 'expected/graph-files');
const folder = mkdtempSync(path.join(tmpdir(), 'tracer-neuronpedia-'));
const at = (name: string): string => path.join(folder, name);
const variables = environment({
  NEURONPEDIA_API_KEY: KEY,
  NEURONPEDIA_BASE_URL: undefined,
  HF_HUB_OFFLINE: undefined,
  TRACER_LABELS_DIR: at('labels'),
});
afterAll(() => {
  variables[Symbol.dispose]();
  rmSync(folder, { recursive: true, force: true });
});

const file = at('dallas.safetensors');
const pinnedIds = ['3_15_10', '2_113_10', '2_111_10'];
const annotations = {
  ...emptyAnnotations(),
  pinnedIds: [...pinnedIds, '9_9_9'],
  supernodes: [['Texas', '2_113_10', '2_111_10']],
  clerps: { '3_15_10': 'say Austin', '9_9_9': 'of a node that is not there' },
};
let server: NeuronpediaServer;
beforeAll(async () => {
  const { graph } = await readGolden('tiny-a', 'graph-plt-jumprelu-p2');
  // A set that the site has pages of.
  const scan = 'mwhanna/gemma-scope-transcoders';
  const transcoders = { name: scan, revision: 'bd5773156dea', config_sha256: null };
  const provenance = { ...graph.provenance, scan, transcoders };
  await writeGraph(file, { ...graph, provenance });
  await writeAnnotations(annotationsPath(file), annotations);
  server = await NeuronpediaServer.start();
  server.key = KEY;
});
afterAll(() => server[Symbol.asyncDispose]());

const events: EngineEvent[] = [];
const common = () => ({
  baseUrl: server.baseUrl,
  retry: { attempts: 2, firstWaitMs: 1 },
  onProgress: (event: EngineEvent) => events.push(event),
});
const upload = (options: Partial<UploadRequest> = {}) => uploadGraph({ ...common(), file, ...options });
const pull = (link: string, output: string, options: Partial<PullRequest> = {}) =>
  pullGraph({ ...common(), link, output: at(output), ...options });

async function errorOf(work: Promise<unknown>): Promise<TracerError> {
  return await work.then(
    () => {
      throw new Error('the work was expected to fail');
    },
    (error: unknown) => error as TracerError,
  );
}

function warnings(): string {
  return events.flatMap((event) => (event.kind === 'warning' ? [event.message] : [])).join('\n');
}

describe('graph upload', () => {
  it('makes and checks everything in a dry run, without a request or a key', async () => {
    using _ = environment({ NEURONPEDIA_API_KEY: undefined });
    const before = server.requests.length;
    const plan = await upload({ dryRun: true });
    expect(plan).toMatchObject({
      dry_run: true,
      model: 'gemma-2-2b',
      slug: 'dallas',
      source_set: 'gemmascope-transcoder-16k',
      missing_ids: ['9_9_9'],
      subgraph: { name: 'dallas (annotated)', n_pinned: 3, n_supernodes: 1, n_labels: 1, id: null },
      link: null,
    });
    expect(server.requests.length).toBe(before);
    expect(await errorOf(upload())).toMatchObject({ code: 'no_key', exitCode: 3 });
    expect(server.requests.length).toBe(before);
  });

  it.each(['', '..', 'a/b', 'a b'])(
    'refuses %j as the name of a model, also in a dry run',
    async (modelId) => {
      const error = await errorOf(upload({ modelId, dryRun: true }));
      expect(error).toMatchObject({ code: 'bad_model_id', exitCode: 2 });
    },
  );

  it('publishes the graph as the schema wants it, and saves pins, supernodes and labels', async () => {
    const result = await upload({ slug: 'full' });
    expect(result.link).toBe(`${server.baseUrl}/gemma-2-2b/graph?slug=full&subgraph=${result.subgraph!.id!}`);
    const stored = server.storedGraph('gemma-2-2b', 'full')!;
    expect(v.safeParse(neuronpediaSchema, stored).issues).toBeUndefined();
    expect(stored).toMatchObject({
      metadata: {
        slug: 'full',
        scan: 'gemma-2-2b',
        feature_details: { neuronpedia_source_set: 'gemmascope-transcoder-16k' },
      },
      qParams: { pinnedIds, supernodes: annotations.supernodes },
    });
    expect(server.subgraphs.at(-1)).toMatchObject({
      modelId: 'gemma-2-2b',
      slug: 'full',
      displayName: 'full (annotated)',
      pinnedIds,
      supernodes: annotations.supernodes,
    });
    const { clerps } = server.subgraphs.at(-1)!;
    expect(new Set(clerps.map(([, label]) => label))).toEqual(new Set(['say Austin']));
    expect(clerps).toContainEqual(['3_15_10', 'say Austin']);
  });

  it('replaces a graph of the same name only when it is told to', async () => {
    await upload({ slug: 'twice' });
    const requests = server.requests.length;
    const error = await errorOf(upload({ slug: 'twice' }));
    expect(error).toMatchObject({ code: 'slug_exists', exitCode: 2 });
    expect(server.requests.slice(requests).map(({ method }) => method)).toEqual(['GET']);
    const again = await upload({ slug: 'twice', replace: true });
    expect(again.subgraph).toMatchObject({ is_replaced: true });
    expect(server.subgraphs.filter(({ slug }) => slug === 'twice')).toHaveLength(1);
  });

  it('sends a suggested circuit, or none', async () => {
    const suggested = await upload({ slug: 'suggested', subgraph: 'suggested' });
    expect(suggested.subgraph!.n_pinned).toBeGreaterThan(2);
    expect(suggested.missing_ids).toEqual([]);
    const none = await upload({ slug: 'none', subgraph: 'none' });
    expect(none.subgraph).toBeNull();
    expect(none.link).toBe(`${server.baseUrl}/gemma-2-2b/graph?slug=none`);
    expect(server.subgraphs.some(({ slug }) => slug === 'none')).toBe(false);
  });

  it.each([
    [{ slug: 'a b' }, 2, 'bad_slug'],
    [{ slug: 'a.b' }, 2, 'bad_slug'],
    [{ baseUrl: 'np.example' }, 2, 'bad_server'],
    [{ file: at('nowhere.safetensors') }, 3, 'not_found'],
    [{ modelId: 'unknown-model' }, 3, 'model_not_on_neuronpedia'],
    [{ offline: true, baseUrl: 'https://np.example' }, 69, 'offline'],
  ])('refuses %j', async (options, exitCode, code) => {
    const error = await errorOf(upload({ slug: `refused-${exitCode}`, ...options }));
    expect(error.exitCode).toBe(exitCode);
    if (code !== 'not_found') expect(error.code).toBe(code);
  });

  it('asks for the name of a model that no set leads to', async () => {
    const { graph } = await readGolden('tiny-a', 'graph-plt-jumprelu-p2');
    await writeGraph(at('unknown.safetensors'), graph);
    const error = await errorOf(upload({ file: at('unknown.safetensors') }));
    expect(error).toMatchObject({ code: 'no_model_id', exitCode: 2 });
    expect(error.hint).toContain('--model-id');
    const result = await upload({
      file: at('unknown.safetensors'),
      modelId: 'qwen3-4b',
      slug: 'u',
      dryRun: true,
    });
    expect(result).toMatchObject({ model: 'qwen3-4b', source_set: null });
  });

  it('says that the graph is there when only the subgraph fails', async () => {
    server.inject('/subgraph/save', { kind: 'status', status: 500, body: { error: KEY } }, 9);
    const error = await errorOf(upload({ slug: 'half' }));
    expect(error.exitCode).toBe(69);
    expect(error.message).toContain(
      `the graph is published at ${server.baseUrl}/gemma-2-2b/graph?slug=half, but`,
    );
    expect(error.hint).toContain('--replace');
    server.recover();
    expect((await upload({ slug: 'half', replace: true })).subgraph!.id).toBeTruthy();
  });

  it('says that the graph may be there when the last answer is lost, or it is stopped before it', async () => {
    events.length = 0;
    server.inject('/save-to-db', { kind: 'lost' }, 9);
    expect(await errorOf(upload({ slug: 'lost' }))).toMatchObject({ exitCode: 69 });
    expect(warnings()).toContain(`may be published: see ${server.baseUrl}/gemma-2-2b/graph?slug=lost`);
    server.recover();
    events.length = 0;
    server.inject('/save-to-db', { kind: 'silence' });
    const saved = server.seen('/save-to-db').length;
    const controller = new AbortController();
    const work = errorOf(upload({ slug: 'stopped', signal: controller.signal }));
    // Else the request may arrive after the abort, and meet what the next test has prepared.
    while (server.seen('/save-to-db').length === saved) await soon();
    controller.abort(new Error('Ctrl-C'));
    expect((await work).message).toBe('Ctrl-C');
    expect(warnings()).toContain('may be published');
    server.recover();
  });

  it('says that the graph may be there when what answers its saving is no answer, and not when it is a refusal', async () => {
    for (const [slug, path] of [
      ['unread', '/save-to-db'],
      ['unconfirmed', 'GET /api/graph/gemma-2-2b/unconfirmed'],
    ] as const) {
      events.length = 0;
      server.inject(path, { kind: 'body', body: '[]' });
      expect(await errorOf(upload({ slug, replace: true }))).toMatchObject({
        exitCode: 4,
        code: 'bad_answer',
      });
      expect(warnings()).toContain(`may be published: see ${server.baseUrl}/gemma-2-2b/graph?slug=${slug}`);
    }
    events.length = 0;
    server.inject('/save-to-db', { kind: 'status', status: 400, body: { error: 'Invalid graph' } });
    expect(await errorOf(upload({ slug: 'refused' }))).toMatchObject({ code: 'graph_refused' });
    expect(warnings()).toBe('');
  });

  it('reads no annotations where those of the person are not sent', async () => {
    const alone = at('alone.safetensors');
    copyFileSync(file, alone);
    writeFileSync(annotationsPath(alone), '{');
    const dry = (subgraph: 'annotated' | 'suggested' | 'none') =>
      upload({ file: alone, subgraph, dryRun: true });
    expect((await dry('suggested')).subgraph!.n_pinned).toBeGreaterThan(0);
    expect((await dry('none')).subgraph).toBeNull();
    expect(await errorOf(dry('annotated'))).toMatchObject({ code: 'json_syntax' });
  });

  it('refuses a name for a subgraph that is not saved, and one that is empty', async () => {
    for (const more of [{ subgraph: 'none', subgraphName: 'x' }, { subgraphName: ' ' }] as const) {
      expect(await errorOf(upload({ ...more, dryRun: true }))).toMatchObject({
        exitCode: 2,
        code: 'bad_subgraph_name',
      });
    }
  });

  it.each(['/signed-put', 'PUT', '/save-to-db', '/subgraph/list'])(
    'shows no key and no signature when %s fails',
    async (step) => {
      events.length = 0;
      const body = { error: `${KEY} at https://storage.example/x?${SIGNATURE}` };
      for (const status of [401, 503]) {
        server.inject(step, { kind: 'status', status, body }, 9);
        const error = await errorOf(upload({ slug: `secret-${status}`, replace: true }));
        const all = JSON.stringify([error.message, error.stack, error.hint, String(error.cause), events]);
        expect(all).not.toContain(KEY);
        expect(all).not.toContain(SIGNATURE);
        server.recover();
      }
    },
  );
});

async function soon(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 10));
}

describe('graph pull', () => {
  it.each([
    ['the name of annotations', 'dallas.annotations.json', 2],
    ['a place below a file', 'dallas.safetensors/x.json', 5],
  ])('refuses %s before it asks for anything', async (_, output, exitCode) => {
    const [before, kept] = [server.requests.length, readFileSync(annotationsPath(file), 'utf8')];
    expect(await errorOf(pull('gemma-2-2b/full', output))).toMatchObject({ exitCode });
    expect(server.requests.length).toBe(before);
    expect(readFileSync(annotationsPath(file), 'utf8')).toBe(kept);
  });

  let link: string;
  beforeAll(async () => {
    link = (await upload({ slug: 'pulled', nodeThreshold: 1, edgeThreshold: 1 })).link!;
  });

  it('brings back a graph file that the other commands read, with the saved subgraph as annotations', async () => {
    const result = await pull(link, 'back.safetensors');
    expect(result).toMatchObject({
      model: 'gemma-2-2b',
      slug: 'pulled',
      scan: 'mwhanna/gemma-scope-transcoders',
      annotations: { from: 'subgraph', n_pinned: 3, n_supernodes: 1, n_labels: 1, is_written: true },
      missing_ids: [],
    });
    const saved = await readAnnotations(annotationsPath(at('back.safetensors')));
    expect(saved).toMatchObject({
      pinnedIds,
      supernodes: annotations.supernodes,
      clerps: { '3_15_10': 'say Austin' },
    });
    const [sent, back] = [await readGraph(file), await readGraph(at('back.safetensors'))];
    expect(back.layout.n_features).toBe(
      (await pruneFile(file, { nodeThreshold: 1, edgeThreshold: 1 })).n_features,
    );
    const nodeOf = new Map(
      Array.from({ length: sent.layout.n_nodes }, (_, node) => [nodeId(sent, node), node]),
    );
    const inSent = Array.from({ length: back.layout.n_nodes }, (_, node) => nodeOf.get(nodeId(back, node)));
    for (let target = 0; target < back.layout.n_nodes; target += 7) {
      for (let source = 0; source < back.layout.n_nodes; source++) {
        expect(edgeWeight(back, target, source)).toBe(edgeWeight(sent, inSent[target]!, inSent[source]!));
      }
    }
    expect(back.input_tokens).toEqual(sent.input_tokens);
    expect(back.provenance.options).toMatchObject({
      published: `${server.baseUrl}/gemma-2-2b/graph?slug=pulled`,
    });
    const { appeared, vanished } = await diffFiles(file, at('back.safetensors'), { nodeThreshold: 1 });
    expect([appeared, vanished]).toEqual([[], []]);
    const top = async (name: string) => (await topOfFile(name, 5)).top.map(({ id }) => id);
    expect(await top(at('back.safetensors'))).toEqual(await top(file));
  });

  it("brings back a viewer's file as it was published, with annotations beside it", async () => {
    await pull(link, 'back.json');
    const viewer = await readViewerGraph(at('back.json'));
    expect(viewer.metadata).toMatchObject({ slug: 'pulled', scan: 'mwhanna-gemma-scope-transcoders' });
    expect(viewer.qParams.pinnedIds).toEqual(pinnedIds);
    const again = await upload({ file: at('back.json'), slug: 'again', dryRun: true });
    expect(again).toMatchObject({
      model: 'gemma-2-2b',
      source_set: 'gemmascope-transcoder-16k',
      missing_ids: [],
    });
    expect(again.subgraph).toMatchObject({ n_pinned: 3, n_labels: 1 });
  });

  it('reads pins, supernodes and labels out of the address, and tells those that the graph does not hold', async () => {
    const query = new URLSearchParams({
      slug: 'pulled',
      pinnedIds: '3_15_10,7_7_7',
      supernodes: JSON.stringify([['box', '3_15_10', '8_8_8']]),
      clerps: JSON.stringify([['3_15_10', 'by address']]),
    });
    const result = await pull(`${server.baseUrl}/gemma-2-2b/graph?${query.toString()}`, 'address.json');
    expect(result).toMatchObject({
      annotations: { from: 'address', n_pinned: 1, n_supernodes: 1, n_labels: 1 },
      missing_ids: ['7_7_7', '8_8_8'],
    });
    expect(await readAnnotations(annotationsPath(at('address.json')))).toMatchObject({
      pinnedIds: ['3_15_10'],
      supernodes: [['box', '3_15_10']],
      clerps: { '3_15_10': 'by address' },
    });
  });

  it('takes the own pins of a graph from a link without any, and every form of a link', async () => {
    const json = server.graphs.get('gemma-2-2b/pulled')!.path;
    const links = [
      `${server.baseUrl}/gemma-2-2b/graph?slug=pulled`,
      `${server.baseUrl}/api/graph/gemma-2-2b/pulled`,
      'gemma-2-2b/pulled',
      `${server.storageUrl}${json}?${SIGNATURE}`,
    ];
    for (const [i, one] of links.entries()) {
      const result = await pull(one, `form-${i}.json`);
      expect(result).toMatchObject({ slug: 'pulled', annotations: { from: 'graph', n_pinned: 3 } });
      expect(JSON.stringify(result)).not.toContain(SIGNATURE);
    }
  });

  it('finds a saved subgraph by its name, also one that is featured, without a key', async () => {
    const byName = await pull('gemma-2-2b/pulled', 'name.json', { subgraph: 'pulled (annotated)' });
    expect(byName.annotations).toMatchObject({ from: 'subgraph', n_pinned: 3 });
    expect(byName.own_subgraphs).toEqual([{ id: expect.any(String), name: 'pulled (annotated)' }]);
    server.featured.push({
      ...server.subgraphs.find(({ slug }) => slug === 'pulled')!,
      id: 'featured-1',
      pinnedIds: ['3_15_10'],
    });
    using _ = environment({ NEURONPEDIA_API_KEY: undefined });
    const featured = await pull(
      `${server.baseUrl}/gemma-2-2b/graph?slug=pulled&subgraph=featured-1`,
      'featured.json',
    );
    expect(featured).toMatchObject({ annotations: { n_pinned: 1 }, own_subgraphs: [] });
    const error = await errorOf(pull('gemma-2-2b/pulled', 'not.json', { subgraph: 'of somebody' }));
    expect(error).toMatchObject({ code: 'subgraph_not_found', exitCode: 3 });
    expect(existsSync(at('not.json'))).toBe(false);
  });

  it('leaves annotations that are there as they are, and says so', async () => {
    const own = { ...emptyAnnotations(), notes: 'mine' };
    await writeAnnotations(annotationsPath(at('mine.json')), own);
    events.length = 0;
    const result = await pull(link, 'mine.json');
    expect(result.annotations).toMatchObject({ is_written: false });
    expect(warnings()).toContain('stays as it is');
    expect(await readAnnotations(annotationsPath(at('mine.json')))).toEqual(own);
  });

  it('asks for a model where pruning left out tokens, since a graph file has the ids of all', async () => {
    const viewer = JSON.parse(readFileSync(at('back.json'), 'utf8')) as {
      nodes: { node_id: string; feature_type: string }[];
      links: { source: string }[];
    };
    const lost = viewer.nodes.find(({ feature_type }) => feature_type === 'embedding')!.node_id;
    viewer.nodes = viewer.nodes.filter(({ node_id }) => node_id !== lost);
    viewer.links = viewer.links.filter(({ source }) => source !== lost);
    server.publish('gemma-2-2b', 'pruned', viewer);
    const error = await errorOf(pull('gemma-2-2b/pruned', 'pruned.safetensors'));
    expect(error).toMatchObject({ code: 'tokens_left_out', exitCode: 2 });
    await pull('gemma-2-2b/pruned', 'pruned.safetensors', { model: MODEL, offline: true });
    expect((await readGraph(at('pruned.safetensors'))).input_tokens).toEqual(
      (await readGraph(file)).input_tokens,
    );
    const other = await errorOf(
      pull('gemma-2-2b/pruned', 'other.safetensors', { model: 'embedded', offline: true }),
    );
    expect(other.exitCode).toBe(2);
    expect(existsSync(at('other.safetensors'))).toBe(false);
  });

  it("gives nodes of other programs' files the ids that they have in a graph file", async () => {
    const text = readFileSync(path.join(REFERENCE, 'graph-plt-jumprelu-p2.json'), 'utf8');
    const viewer = JSON.parse(text) as {
      metadata: { prompt_tokens: string[] };
      nodes: { node_id: string; feature_type: string; layer: string; ctx_idx: number }[];
    };
    const errors = viewer.nodes.filter(({ feature_type }) => feature_type === 'mlp reconstruction error');
    const error = errors.find(
      ({ node_id }) => viewer.nodes.filter((one) => one.node_id === node_id).length === 1,
    )!;
    server.publish('gemma-2-2b', 'reference', {
      ...viewer,
      qParams: { pinnedIds: error.node_id, supernodes: [] },
    });
    await pull('gemma-2-2b/reference', 'reference.safetensors', { model: MODEL, offline: true });
    const ids = (await readAnnotations(annotationsPath(at('reference.safetensors'))))!.pinnedIds;
    expect(ids).toEqual([`${error.layer}_error_${error.ctx_idx}`]);
    const { input_tokens } = await readGraph(at('reference.safetensors'));
    expect(input_tokens).toEqual((await readGraph(file)).input_tokens);
  });

  const faults: [string, string, NeuronpediaFault, number][] = [
    ['no such graph', 'GET /api/graph', { kind: 'status', status: 404 }, 3],
    ['a refusal', 'GET /api/graph', { kind: 'status', status: 401, body: { error: KEY } }, 3],
    ['a site that is overloaded', 'GET /api/graph', { kind: 'status', status: 503 }, 69],
    [
      'a site that asks to wait',
      'GET /api/graph',
      { kind: 'status', status: 429, headers: { 'retry-after': '9999' } },
      69,
    ],
    ['a description of another form', 'GET /api/graph', { kind: 'body', body: '{"url":7}' }, 4],
    [
      'an address that is none',
      'GET /api/graph',
      { kind: 'body', body: '{"modelId":"m","slug":"s","url":"file:///etc"}' },
      4,
    ],
    ['a storage that has it no more', 'storage GET', { kind: 'status', status: 404 }, 3],
    ['a graph that is cut', 'storage GET', { kind: 'cut', afterBytes: 500 }, 69],
    ['a web page for a graph', 'storage GET', { kind: 'body', body: '<!DOCTYPE html>' }, 4],
    ['JSON that is no graph', 'storage GET', { kind: 'body', body: '{"nodes":[]}' }, 4],
    ['subgraphs of another form', '/subgraph/list', { kind: 'body', body: '{"subgraphs":{}}' }, 4],
  ];

  it.each(faults)('writes nothing for %s', async (_, match, fault, exitCode) => {
    const before = readdirSync(folder).sort();
    server.inject(match, fault, 9);
    for (const name of ['fault.json', 'fault.safetensors']) {
      const error = await errorOf(pull(link, name));
      expect(error.exitCode).toBe(exitCode);
      expect(error.hint).toBeTruthy();
      expect(JSON.stringify([error.message, error.stack, error.hint, String(error.cause)])).not.toContain(
        KEY,
      );
    }
    server.recover();
    expect(readdirSync(folder).sort()).toEqual(before);
  });

  it('leaves the file of before when it fails, and when it is stopped', async () => {
    writeFileSync(at('old.json'), 'old');
    server.inject('storage GET', { kind: 'stall', afterBytes: 500 }, 9);
    const controller = new AbortController();
    const work = errorOf(pull(link, 'old.json', { signal: controller.signal }));
    const seen = server.seen('storage GET').length;
    while (server.seen('storage GET').length === seen) await soon();
    controller.abort(new Error('Ctrl-C'));
    expect((await work).message).toBe('Ctrl-C');
    server.recover();
    expect(readFileSync(at('old.json'), 'utf8')).toBe('old');
  });

  it.each(['graph', 'graph.pt', 'graph.json.gz'])('refuses to write %s', async (name) => {
    expect(await errorOf(pull(link, name))).toMatchObject({ code: 'bad_value', exitCode: 2 });
  });
});
