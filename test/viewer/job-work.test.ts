import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  appendFileSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { attributeIn } from '../../src/engine/attribute/attribute.ts';
import type { ViewerGraph } from '../../src/graph/neuronpedia.ts';
import type {
  AblationResult,
  GraphList,
  JobRequest,
  JobStatus,
  OpenedGraph,
  ServerInfo,
} from '../../src/viewer/api.ts';
import { goldenSession } from '../engine/golden-session.ts';
import { goldenPath, prompts, tolerances } from '../support/golden.ts';
import { scratchFolder } from '../support/scratch.ts';
import {
  answer,
  copyReferenceFiles,
  errorCode,
  listenTo,
  openedViewer,
  runJob,
  startJob,
  type OpenedViewer,
} from './opened.ts';

const SET = 'plt-jumprelu';
const PROMPT = prompts('tiny-a').p2.text;
const ALL = '?node_threshold=1&edge_threshold=1';
/** Long enough that it runs for a while. */
const LONG = 'The old man walked along the river, and the cat looked at the dog. '.repeat(12);

const MODEL = { model: goldenPath('tiny-a', 'model'), device: 'wasm', offline: true } as const;

let opened: OpenedViewer;
let graph: ViewerGraph;

beforeAll(async () => {
  using session = await goldenSession('tiny-a', SET);
  opened = await openedViewer(
    async (folder) => {
      const places = { output: path.join(folder, 'dallas.safetensors'), graphDir: folder, slug: 'dallas' };
      await attributeIn(session, { input: { prompt: PROMPT }, ...places });
      copyReferenceFiles('tiny-b', folder);
    },
    {
      common: { ...MODEL, transcoders: goldenPath('tiny-a', 'transcoders', SET) },
      limits: { listenerTimeoutMs: 2_000 },
    },
  );
  ({ graph } = answer<OpenedGraph>(await opened.ask(`/api/graphs/dallas${ALL}`)));
});
afterAll(async () => {
  await opened[Symbol.asyncDispose]();
});

/** The strongest link of a feature to a kind of target. */
function strongestLink(kind: 'feature' | 'logit'): { source: string; target: string; weight: number } {
  const nodes = new Map(graph.nodes.map((node) => [node.node_id, node]));
  const isFeature = (id: string): boolean => nodes.get(id)!.activation !== null;
  const fits = (id: string): boolean =>
    kind === 'feature' ? isFeature(id) : nodes.get(id)!.feature_type === 'logit';
  return graph.links
    .filter(({ source, target }) => isFeature(source) && fits(target))
    .reduce((best, link) => (Math.abs(link.weight) > Math.abs(best.weight) ? link : best));
}

async function refusal(job: JobRequest, from: OpenedViewer = opened): Promise<string> {
  const reply = await from.send('POST', '/api/jobs', job);
  expect(reply.status).toBeGreaterThanOrEqual(400);
  return errorCode(reply);
}

describe('a model of the command line', () => {
  it('is told of before it is loaded, and only its own graphs can be steered', async () => {
    const info = answer<ServerInfo>(await opened.ask('/api/info'));
    expect(info).toMatchObject({ model: { model: MODEL.model }, why: null });
    expect(answer<OpenedGraph>(await opened.ask('/api/graphs/dallas')).can_steer).toBe(true);
    const other = answer<OpenedGraph>(await opened.ask('/api/graphs/graph-clt-p2'));
    expect(other.can_steer).toBe(false);
    const steer = { kind: 'steer', slug: 'graph-clt-p2' } as const;
    expect(await refusal({ ...steer, changes: [{ layer: 0, position: 1, feature: 2, factor: 0 }] })).toBe(
      'other_model',
    );
  });
});

describe('a prompt that is traced', () => {
  it('becomes a graph of the folder, with its numbers and its viewer file', async () => {
    const status = await runJob(opened, { kind: 'trace', prompt: 'The opposite of hot is' });
    expect(status).toMatchObject({ state: 'done', error: null, result: { kind: 'trace' } });
    const { slug, result } = status.result as Extract<JobStatus['result'], { kind: 'trace' }>;
    expect(slug).toBe('the-opposite-of-hot-is');
    const drawn = answer<OpenedGraph>(await opened.ask(`/api/graphs/${slug}${ALL}`));
    expect(drawn).toMatchObject({ kind: 'graph', can_steer: true, scores: result.scores });
    expect(drawn.graph.metadata.prompt).toBe(result.prompt);
    for (const ending of ['.safetensors', '.json']) {
      expect(existsSync(path.join(opened.folder, slug + ending))).toBe(true);
    }
    const listed = readFileSync(path.join(opened.folder, 'graph-metadata.json'), 'utf8');
    expect(listed).toContain(`"slug": "${slug}"`);
  });

  it('is put into the chat template on request', async () => {
    const chat = await runJob(opened, { kind: 'trace', prompt: 'Dallas', chat: true });
    expect(chat).toMatchObject({ state: 'failed', error: { code: 'no_chat_template' } });
    expect(await refusal({ kind: 'trace', prompt: 'Dallas', system: 'x' })).toBe('system_without_chat');
  });

  it('gets a name of its own, and never writes over a graph', async () => {
    const before = readFileSync(path.join(opened.folder, 'dallas.safetensors'));
    const trace = { kind: 'trace', prompt: 'Dallas', slug: 'dallas' } as const;
    const reply = await opened.send('POST', '/api/jobs', trace);
    expect([reply.status, errorCode(reply)]).toEqual([409, 'slug_taken']);
    for (const name of ['graph-metadata', 'x.annotations']) {
      expect(await refusal({ ...trace, slug: name })).toBe('slug_taken');
    }
    const twice = [await runJob(opened, { kind: 'trace', prompt: 'Dallas' })];
    twice.push(await runJob(opened, { kind: 'trace', prompt: 'Dallas' }));
    expect(twice.map(({ result }) => (result as { slug: string }).slug)).toEqual(['dallas-2', 'dallas-3']);
    expect(readFileSync(path.join(opened.folder, 'dallas.safetensors')).equals(before)).toBe(true);
  });

  it('never writes over a graph that took its name while it was queued or traced', async () => {
    const trace = { kind: 'trace', slug: 'twice' } as const;
    const jobs = [
      await startJob(opened, { ...trace, prompt: 'The first of two' }),
      await startJob(opened, { ...trace, prompt: 'The second of two' }),
      await startJob(opened, { ...trace, prompt: 'The third of two', slug: 'appears' }),
      await startJob(opened, { ...trace, prompt: 'The fourth of two', slug: 'noted' }),
    ];
    // Another program writes while they wait.
    writeFileSync(path.join(opened.folder, 'appears.json'), 'theirs');
    writeFileSync(path.join(opened.folder, 'noted.annotations.json'), '{"notes":"on another graph"}');
    const ended = await Promise.all(jobs.map((job) => listenTo(opened, job).last));
    const traced = ended.map(({ result }) => result as Extract<JobStatus['result'], { kind: 'trace' }>);
    expect(traced.map(({ slug }) => slug)).toEqual(['twice', 'twice-2', 'appears-2', 'noted-2']);
    expect(ended.map(({ warnings }) => warnings.length)).toEqual([0, 1, 1, 1]);
    expect(ended[1]!.warnings[0]).toMatch(/twice was taken.*twice-2/);
    for (const { slug, result } of traced) {
      const { kind, graph } = answer<OpenedGraph>(await opened.ask(`/api/graphs/${slug}`));
      expect([kind, graph.metadata.prompt]).toEqual(['graph', result.prompt]);
      const viewer = JSON.parse(
        readFileSync(path.join(opened.folder, `${slug}.json`), 'utf8'),
      ) as ViewerGraph;
      expect([viewer.metadata.slug, viewer.metadata.prompt]).toEqual([slug, result.prompt]);
    }
    expect(readFileSync(path.join(opened.folder, 'appears.json'), 'utf8')).toBe('theirs');
    for (const name of ['appears.safetensors', 'noted.safetensors', 'noted.json']) {
      expect(existsSync(path.join(opened.folder, name))).toBe(false);
    }
    rmSync(path.join(opened.folder, 'appears.json'));
  });

  it('gets a name that other files beside the graphs do not have', async () => {
    const { result } = await runJob(opened, { kind: 'trace', prompt: 'Graph metadata' });
    expect((result as { slug: string }).slug).toBe('graph-metadata-1');
  });

  it('is called by its words in every script, and its two files are one graph', async () => {
    for (const slug of ['苹果', '苹果-2']) {
      const { result } = await runJob(opened, { kind: 'trace', prompt: '苹果' });
      expect((result as { slug: string }).slug).toBe(slug);
      expect(existsSync(path.join(opened.folder, `${slug}.safetensors`))).toBe(true);
      const address = `/api/graphs/${encodeURIComponent(slug)}`;
      const { graph: drawn } = answer<OpenedGraph>(await opened.ask(`${address}${ALL}`));
      expect(drawn.metadata.slug).toMatch(/^[a-zA-Z0-9_.-]+$/);
      expect(existsSync(path.join(opened.folder, `${drawn.metadata.slug}.json`))).toBe(true);
      const { headers } = await opened.ask(`${address}/export.json`);
      expect(headers['content-disposition']).toBe(`attachment; filename="${drawn.metadata.slug}.json"`);
    }
    const { graphs } = answer<GraphList>(await opened.ask('/api/graphs'));
    const traced = graphs.filter(({ prompt }) => prompt === '<bos>苹果');
    expect(traced.map(({ slug, kind }) => [slug, kind]).sort()).toEqual([
      ['苹果', 'graph'],
      ['苹果-2', 'graph'],
    ]);
  });

  it('may be given a name of any script', async () => {
    const { result } = await runJob(opened, { kind: 'trace', prompt: 'The cat', slug: 'кот' });
    expect((result as { slug: string }).slug).toBe('кот');
    expect(await refusal({ kind: 'trace', prompt: 'The cat', slug: 'кот' })).toBe('slug_taken');
  });

  it('says what is wrong with it', async () => {
    expect(await refusal({ kind: 'trace', prompt: '  \n' })).toBe('empty_prompt');
    const tooLong = await runJob(opened, { kind: 'trace', prompt: 'river '.repeat(20_000) });
    expect(tooLong).toMatchObject({ state: 'failed', result: null });
    expect(tooLong.error!.message).toMatch(/token/);
  });
});

describe('a feature that is steered', () => {
  it('gets its factor times its activation, and the logits before and after come back', async () => {
    const { source } = strongestLink('logit');
    const [layer, feature, position] = source.split('_').map(Number) as [number, number, number];
    const place = { layer, feature, position };
    const activation = graph.nodes.find(({ node_id }) => node_id === source)!.activation!;
    const status = await runJob(opened, {
      kind: 'steer',
      slug: 'dallas',
      changes: [{ ...place, factor: -2 }],
      freeze_attention: false,
    });
    const { result } = status.result as Extract<JobStatus['result'], { kind: 'steer' }>;
    const tolerance = tolerances('tiny-a').interventions_and_generation;
    expect(result.freeze_attention).toBe(false);
    expect(result.interventions).toHaveLength(1);
    expect(result.interventions[0]).toMatchObject(place);
    expect(Math.abs(result.interventions[0]!.before - activation)).toBeLessThanOrEqual(tolerance);
    expect(Math.abs(result.interventions[0]!.after + 2 * activation)).toBeLessThanOrEqual(2 * tolerance);
    expect(result.changes.some((change) => change.logit_before !== change.logit_after)).toBe(true);
  });

  it('has to be one of the graph', async () => {
    const changes = [{ layer: 0, position: 1, feature: 99_999, factor: 1 }];
    expect(await refusal({ kind: 'steer', slug: 'dallas', changes })).toBe('unknown_node');
    expect(await refusal({ kind: 'steer', slug: 'nowhere', changes })).toBe('unknown_graph');
  });
});

describe('a link that is put to the test', () => {
  it.each(['feature', 'logit'] as const)('is what switching its source off does to a %s', async (kind) => {
    const { source, target, weight } = strongestLink(kind);
    const status = await runJob(opened, { kind: 'ablate', slug: 'dallas', source, target });
    const result = (status.result as { result: AblationResult }).result;
    expect(result).toMatchObject({ source, target, predicted: -weight });
    expect(Math.abs(result.measured - result.predicted)).toBeLessThanOrEqual(
      tolerances('tiny-a').interventions_and_generation,
    );
    expect(result.free).not.toBe(0);
  });

  it('leads from a feature to a feature or a logit', async () => {
    const { source, target } = strongestLink('logit');
    const token = graph.nodes.find(({ feature_type }) => feature_type === 'embedding')!.node_id;
    const ablate = { kind: 'ablate', slug: 'dallas' } as const;
    expect(await refusal({ ...ablate, source: token, target })).toBe('not_a_feature');
    expect(await refusal({ ...ablate, source, target: token })).toBe('not_a_target');
    expect(await refusal({ ...ablate, source: 'nothing', target })).toBe('unknown_node');
  });
});

describe('files of the reference with its model', () => {
  it('can be steered and tested like our own, where their scan names the set', async () => {
    using scratch = scratchFolder();
    const set = path.join(scratch.path, SET);
    cpSync(goldenPath('tiny-a', 'transcoders', SET), set, { recursive: true });
    appendFileSync(path.join(set, 'config.yaml'), `\nscan: golden-tiny-a/${SET}\n`);
    await using other = await openedViewer(undefined, { common: { ...MODEL, transcoders: set } });
    const slug = `graph-${SET}-p2`;
    const reference = answer<OpenedGraph>(await other.ask(`/api/graphs/${slug}`));
    expect(reference.can_steer).toBe(true);
    const ofOtherSet = answer<OpenedGraph>(await other.ask('/api/graphs/graph-plt-topk-p2'));
    expect(ofOtherSet.can_steer).toBe(false);
    const features = new Set(
      reference.graph.nodes.filter(({ activation }) => activation !== null).map(({ node_id }) => node_id),
    );
    const link = reference.graph.links.find(
      ({ source, target }) => features.has(source) && features.has(target),
    );
    const { source, target, weight } = link!;
    const tested = await runJob(other, { kind: 'ablate', slug, source, target });
    const { measured } = (tested.result as { result: AblationResult }).result;
    expect(Math.abs(measured + weight)).toBeLessThanOrEqual(
      tolerances('tiny-a').interventions_and_generation,
    );
    const [layer, feature, position] = source.split('_').map(Number) as [number, number, number];
    const changes = [{ layer, feature, position, factor: 0 }];
    expect((await runJob(other, { kind: 'steer', slug, changes })).state).toBe('done');
  });
});

describe('jobs of a page', () => {
  it('wait for each other, tell how far they are, and can be cancelled', async () => {
    const trace = { kind: 'trace', prompt: LONG, slug: 'long' } as const;
    const [first, second] = [
      await startJob(opened, trace),
      await startJob(opened, { ...trace, slug: 'next' }),
    ];
    const [running, waiting] = [listenTo(opened, first), listenTo(opened, second)];
    await running.until(({ progress }) => typeof progress?.total === 'number');
    expect((await waiting.until(({ state }) => state === 'queued')).ahead).toBe(1);
    const cancelled = answer<JobStatus>(await opened.ask(`/api/jobs/${second.id}`, { method: 'DELETE' }));
    expect(cancelled.state).toBe('cancelled');
    expect((await waiting.last).state).toBe('cancelled');
    const stopped = answer<JobStatus>(await opened.ask(`/api/jobs/${first.id}`, { method: 'DELETE' }));
    expect(stopped.state).toBe('cancelled');
    expect((await running.last).state).toBe('cancelled');
    expect(running.told.some(({ progress }) => (progress?.done ?? 0) > 0)).toBe(true);
    expect(readdirSync(opened.folder).filter((name) => /^(?:\.)?(?:long|next)/.test(name))).toEqual([]);
  });

  it('end when the page is closed, and the next one gets the model', async () => {
    const job = await startJob(opened, { kind: 'trace', prompt: LONG, slug: 'left' });
    const page = listenTo(opened, job);
    await page.until(({ state }) => state === 'running');
    page.leave();
    const next = await runJob(opened, { kind: 'trace', prompt: 'The cat', slug: 'after' });
    expect(next.state).toBe('done');
    const late = await listenTo(opened, job).last;
    expect(late.state).toBe('cancelled');
    const { graphs } = answer<GraphList>(await opened.ask('/api/graphs'));
    expect(graphs.map(({ slug }) => slug)).not.toContain('left');
  });

  it('that are not known are not found', async () => {
    for (const [method, address] of [
      ['GET', '/api/jobs/nothing/events'],
      ['DELETE', '/api/jobs/nothing'],
    ] as const) {
      const reply = await opened.ask(address, { method });
      expect([reply.status, errorCode(reply)]).toEqual([404, 'unknown_job']);
    }
  });
});

describe('without a model', () => {
  it('graphs are read all the same, and experiments say what is missing', async () => {
    await using bare = await openedViewer();
    const info = answer<ServerInfo>(await bare.ask('/api/info'));
    expect(info.model).toBeNull();
    expect(info.why).toMatch(/embedded model/);
    expect(await refusal({ kind: 'trace', prompt: 'x' }, bare)).toBe('no_model');
    expect((await bare.ask('/api/graphs/graph-plt-jumprelu-p2')).status).toBe(200);
  });

  it('that was asked for, the viewer does not open', async () => {
    const common = { ...MODEL, model: '/nowhere/model' };
    await expect(openedViewer(undefined, { common, isModelRequired: true })).rejects.toMatchObject({
      exitCode: 3,
    });
    await using opened = await openedViewer(undefined, { common });
    expect(opened.viewer.model).toBeNull();
    expect(opened.viewer.why).toContain('/nowhere/model');
  });
});

describe('the embedded model', () => {
  it('is taken for an empty folder', async () => {
    await using empty = await openedViewer(() => undefined);
    expect(empty.viewer.model).toEqual({ model: 'embedded', transcoders: 'embedded' });
  });
});

describe('closing the viewer', () => {
  it('stops what runs and ends what listens', async () => {
    const common = { ...MODEL, transcoders: goldenPath('tiny-a', 'transcoders', SET) };
    const closing = await openedViewer(() => undefined, { common });
    const page = listenTo(closing, await startJob(closing, { kind: 'trace', prompt: LONG, slug: 'cut' }));
    await page.until(({ state }) => state === 'running');
    await closing[Symbol.asyncDispose]();
    await expect(page.last).rejects.toThrow();
    expect(existsSync(closing.folder)).toBe(false);
  });
});
