/** Attention in the viewer: jobs that explain links and heads, and the file beside the graph that keeps what they answered. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { copyFileSync, existsSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { attributeIn } from '../../src/engine/attribute/attribute.ts';
import { interveneIn } from '../../src/engine/intervene/intervene.ts';
import { parseHeadRemoval } from '../../src/intervention/head-change.ts';
import type { ViewerGraph } from '../../src/graph/neuronpedia.ts';
import type {
  AttentionQuestion,
  GraphList,
  HeadAnswer,
  HeadRemovalResult,
  HeadsAnswer,
  JobStatus,
  KeptAttention,
  LinkAnswer,
  NodeAnswer,
  OpenedGraph,
  RemoveHeadJob,
} from '../../src/viewer/api.ts';
import { goldenSession } from '../engine/golden-session.ts';
import { goldenPath, prompts } from '../support/golden.ts';
import {
  answer,
  ask,
  copyReferenceFiles,
  errorCode,
  openedViewer,
  runJob,
  type OpenedViewer,
} from './opened.ts';

const SET = 'plt-jumprelu';
const PROMPT = prompts('tiny-a').p2.text;
const MODEL = { model: goldenPath('tiny-a', 'model'), device: 'wasm', offline: true } as const;
/** Of sums of float32 numbers, as the golden data has it. */
const TOLERANCE = 1e-4;

let opened: OpenedViewer;
let graph: ViewerGraph;

beforeAll(async () => {
  using session = await goldenSession('tiny-a', SET);
  opened = await openedViewer(
    async (folder) => {
      const output = path.join(folder, 'dallas.safetensors');
      await attributeIn(session, { input: { prompt: PROMPT }, output });
      copyReferenceFiles('tiny-b', folder);
    },
    { common: { ...MODEL, transcoders: goldenPath('tiny-a', 'transcoders', SET) } },
  );
  ({ graph } = answer<OpenedGraph>(await opened.ask('/api/graphs/dallas')));
});
afterAll(async () => {
  await opened[Symbol.asyncDispose]();
});

/** The strongest link between features of two positions: only heads carry it. */
function movedLink(): { source: string; target: string; weight: number } {
  const positions = new Map(graph.nodes.map(({ node_id, ctx_idx }) => [node_id, ctx_idx]));
  return graph.links
    .filter(({ source, target }) => positions.get(source)! < positions.get(target)!)
    .reduce((best, link) => (Math.abs(link.weight) > Math.abs(best.weight) ? link : best));
}

async function asked(question: AttentionQuestion, slug = 'dallas'): Promise<JobStatus> {
  return await runJob(opened, { kind: 'attention', slug, question });
}

interface Answers {
  readonly link: LinkAnswer;
  readonly node: NodeAnswer;
  readonly head: HeadAnswer;
  readonly heads: HeadsAnswer;
}

async function answered<About extends keyof Answers>(
  question: AttentionQuestion & { readonly about: About },
): Promise<Answers[About]> {
  const { error, result } = await asked(question);
  expect(error).toBeNull();
  return (result as unknown as { result: { answer: Answers[About] } }).result.answer;
}

async function kept(slug = 'dallas', from = opened): Promise<KeptAttention> {
  return answer<KeptAttention>(await from.ask(`/api/graphs/${slug}/attention`));
}

async function refusal(question: unknown, slug = 'dallas'): Promise<string> {
  const reply = await opened.send('POST', '/api/jobs', { kind: 'attention', slug, question });
  expect(reply.status).toBeGreaterThanOrEqual(400);
  return errorCode(reply);
}

describe('a link', () => {
  it('is what is direct and what heads bring, which add up to its weight in the graph', async () => {
    const { source, target, weight } = movedLink();
    const { edges } = await answered({ about: 'link', source, target });
    const [edge] = edges as [(typeof edges)[0]];
    expect([edge.source.id, edge.target.id]).toEqual([source, target]);
    expect(Math.abs(edge.weight - weight)).toBeLessThanOrEqual(TOLERANCE);
    const last = edge.last.reduce((sum, { value }) => sum + value, edge.direct + edge.rest_last);
    const first = edge.first.reduce((sum, { value }) => sum + value, edge.direct + edge.rest_first);
    expect(Math.abs(last - weight)).toBeLessThanOrEqual(TOLERANCE);
    expect(Math.abs(first - weight)).toBeLessThanOrEqual(TOLERANCE);
    expect(edge.direct).toBe(0); // it goes from one position to another
    expect(edge.last.length).toBeGreaterThan(0);
  });

  it('has to be one of the graph', async () => {
    const { source, target } = movedLink();
    expect(await refusal({ about: 'link', source: 'nothing', target })).toBe('unknown_node');
    const token = graph.nodes.find(({ feature_type }) => feature_type === 'embedding')!.node_id;
    expect(await refusal({ about: 'link', source, target: token })).toBe('not_a_target');
    expect(await refusal({ about: 'link', source, target }, 'graph-clt-p2')).toBe('other_model');
  });
});

describe('a node', () => {
  it('is what is direct and what heads bring, which add up, and is kept once', async () => {
    const { target } = movedLink();
    const before = (await kept()).nodes.length;
    await answered({ about: 'node', node: target });
    const answer = await answered({ about: 'node', node: target });
    expect(answer.node.id).toBe(target);
    const sum = answer.heads.reduce((all, { value }) => all + value, answer.direct + answer.rest);
    expect(Math.abs(sum - answer.total)).toBeLessThanOrEqual(TOLERANCE);
    expect(answer.heads.length).toBeGreaterThan(1);
    const sizes = answer.heads.map(({ value }) => Math.abs(value));
    expect(sizes).toEqual(sizes.toSorted((a, b) => b - a));
    expect(answer.heads.every(({ key }) => key <= answer.node.position)).toBe(true);
    const now = await kept();
    expect(now.nodes).toHaveLength(before + 1);
    expect(now.nodes.at(-1)).toEqual(answer);
  });

  it('of the first logit has the direct effects of heads', async () => {
    const logit = graph.nodes.find(({ is_target_logit }) => is_target_logit)!.node_id;
    const { heads } = await answered({ about: 'node', node: logit });
    const effects = await answered({ about: 'heads' });
    const direct = new Map(effects.heads.map((one) => [`${one.layer}.${one.head}`, one.direct]));
    expect(heads.length).toBeGreaterThan(1);
    for (const { layer, head, value } of heads)
      expect(Math.abs(value - direct.get(`${layer}.${head}`)!)).toBeLessThanOrEqual(TOLERANCE);
  });

  it('has to be a feature or logit of the graph', async () => {
    expect(await refusal({ about: 'node', node: 'nothing' })).toBe('unknown_node');
    const token = graph.nodes.find(({ feature_type }) => feature_type === 'embedding')!.node_id;
    expect(await refusal({ about: 'node', node: token })).toBe('not_a_target');
  });

  it('is read from files that were kept before nodes were asked about', async () => {
    await answered({ about: 'heads' });
    const file = path.join(opened.folder, 'dallas.attention.json');
    const { nodes: _nodes, ...older } = JSON.parse(readFileSync(file, 'utf8')) as { nodes: unknown };
    writeFileSync(file, JSON.stringify(older));
    const now = await kept();
    expect([now.nodes, now.effects === null]).toEqual([[], false]);
  });
});

describe('a head', () => {
  const question = { about: 'head', layer: 2, head: 1, query: 5 } as const;

  it('is explained by pairs and groups that add up, and has its whole pattern', async () => {
    const head = await answered(question);
    expect(head.key.position).toBe(head.visible[0] + head.pattern_row.indexOf(Math.max(...head.pattern_row)));
    const groups = head.by!.values.flat().reduce((sum, value) => sum + value, 0);
    expect(Math.abs(groups - head.score)).toBeLessThanOrEqual(TOLERANCE);
    const pairs = head.pairs.reduce((sum, { value }) => sum + value, head.rest);
    expect(Math.abs(pairs - head.total)).toBeLessThanOrEqual(TOLERANCE);
    const rows = head.pattern_rows!;
    expect(rows.map((row) => row.length)).toEqual(head.tokens.map((_, query) => query + 1));
    for (const row of rows) {
      expect(Math.abs(row.reduce((sum, value) => sum + value, 0) - 1)).toBeLessThan(1e-2);
    }
    expect(rows[5]![head.key.position]).toBeCloseTo(head.pattern, 3);
  });

  it.each(['mean', 'pattern', 0] as const)('is explained against %s', async (against) => {
    const head = await answered({ ...question, key: 3, against });
    const groups = head.by!.values.flat().reduce((sum, value) => sum + value, 0);
    expect(Math.abs(groups - head.total)).toBeLessThanOrEqual(TOLERANCE);
    expect([head.against, head.key.position]).toEqual([against, 3]);
  });

  it('has to be one of the model, at positions of the prompt', async () => {
    const failed = await Promise.all([
      asked({ ...question, layer: 99 }),
      asked({ ...question, query: 99 }),
      asked({ ...question, key: 6 }),
    ]);
    expect(failed.map(({ state, error }) => [state, error!.code])).toEqual([
      ['failed', 'layer_out_of_range'],
      ['failed', 'position_out_of_range'],
      ['failed', 'key_not_visible'],
    ]);
    for (const wrong of [{ layer: -1 }, { query: 1.5 }, { against: 'median' }, { more: 1 }]) {
      expect(await refusal({ ...question, ...wrong })).toBe('bad_field');
    }
  });
});

describe('a head that is removed', () => {
  const place = { layer: 2, head: 1, query: 5 } as const;
  const job = { kind: 'remove_head', slug: 'dallas', ...place } as const;

  async function removed(request: RemoveHeadJob): Promise<HeadRemovalResult> {
    const { error, result } = await runJob(opened, request);
    expect(error).toBeNull();
    return (result as { result: HeadRemovalResult }).result;
  }

  it('changes the logits of the graph as the engine says, patterns held and free, beside its prediction', async () => {
    const { effects, ...which } = await removed(job);
    expect(which).toEqual({ ...place, key: null });
    const logits = graph.nodes.filter(({ feature_type }) => feature_type === 'logit');
    expect(effects).toHaveLength(logits.length);
    const heads = [parseHeadRemoval('--remove-head', '2.1:5')];
    using session = await goldenSession('tiny-a', SET);
    const truth = async (freezeAttention: boolean) =>
      (await interveneIn(session, { input: { prompt: PROMPT }, heads, freezeAttention, top: 1000 })).heads!
        .effects!;
    const [held, free] = [await truth(true), await truth(false)];
    for (const { token_id, ...numbers } of effects) {
      const [ofHeld, ofFree] = [held, free].map((all) => all.find((one) => one.token_id === token_id)!);
      expect(numbers.text).toBe(ofHeld!.text);
      expect(Math.abs(numbers.predicted - ofHeld!.predicted)).toBeLessThanOrEqual(TOLERANCE);
      expect(Math.abs(numbers.held - ofHeld!.change)).toBeLessThanOrEqual(TOLERANCE);
      expect(Math.abs(numbers.free - ofFree!.change)).toBeLessThanOrEqual(TOLERANCE);
    }
    const apart = effects.map((one) => Math.abs(one.held - one.free));
    expect(Math.max(...apart)).toBeGreaterThan(10 * TOLERANCE);
  });

  it('is predicted to take away the total effect of its entry, which has the opposite sign', async () => {
    const { logit_effects, key } = await answered({ about: 'head', ...place, key: 3 });
    const { effects } = await removed({ ...job, key: key.position });
    expect(effects.map(({ token_id, text }) => [token_id, text])).toEqual(
      logit_effects.map(({ token_id, text }) => [token_id, text]),
    );
    expect(Math.max(...logit_effects.map(({ total }) => Math.abs(total)))).toBeGreaterThan(10 * TOLERANCE);
    for (const [i, { predicted }] of effects.entries())
      expect(Math.abs(predicted + logit_effects[i]!.total)).toBeLessThanOrEqual(TOLERANCE);
  });

  it('has to be one of the model, at positions of the prompt', async () => {
    const failed = await Promise.all([
      runJob(opened, { ...job, head: 99 }),
      runJob(opened, { ...job, query: 99 }),
      runJob(opened, { ...job, key: 6 }),
    ]);
    expect(failed.map(({ state, error }) => [state, error!.code])).toEqual([
      ['failed', 'head_out_of_range'],
      ['failed', 'position_out_of_range'],
      ['failed', 'key_not_visible'],
    ]);
    const reply = await opened.send('POST', '/api/jobs', { ...job, query: -1 });
    expect(errorCode(reply)).toBe('bad_field');
    const other = await opened.send('POST', '/api/jobs', { ...job, slug: 'graph-clt-p2' });
    expect(errorCode(other)).toBe('other_model');
  });
});

describe('what was answered', () => {
  it('is kept beside the graph, each question once, and read without a model and without a token', async () => {
    const { source, target } = movedLink();
    const question = { about: 'head', layer: 1, head: 0, query: 4, key: 2 } as const;
    const heads = await answered({ about: 'heads' });
    const link = await answered({ about: 'link', source, target });
    await answered({ about: 'link', source, target });
    await answered(question);
    const head = await answered({ ...question, key: 3 });
    const now = await kept();
    expect(now.effects).toEqual(heads);
    expect(now.links.filter(({ edges }) => edges[0]!.source.id === source)).toHaveLength(1);
    expect(now.links.at(-1)!.edges).toEqual(link.edges);
    expect(now.heads.at(-1)).toEqual(head);
    const ofHead = now.heads.filter((one) => one.layer === 1 && one.head === 0);
    expect(ofHead.map(({ pattern_rows }) => pattern_rows !== undefined)).toEqual([false, true]);
    const file = JSON.parse(
      readFileSync(path.join(opened.folder, 'dallas.attention.json'), 'utf8'),
    ) as object;
    expect(file).toMatchObject({ format: 'tracer.attention-answers', format_version: '1' });
    expect(JSON.stringify(file)).not.toContain(opened.folder);

    const copied = ['dallas.safetensors', 'dallas.attention.json'];
    await using other = await openedViewer((folder) => {
      for (const name of copied) copyFileSync(path.join(opened.folder, name), path.join(folder, name));
    });
    expect(other.viewer.model).toBeNull();
    const reply = await ask(other.viewer.port, '/api/graphs/dallas/attention');
    expect(answer<KeptAttention>(reply)).toEqual(now);
    const job = { kind: 'attention', slug: 'dallas', question };
    expect(errorCode(await other.send('POST', '/api/jobs', job))).toBe('no_model');
    const removal = { kind: 'remove_head', slug: 'dallas', layer: 1, head: 0, query: 4 };
    expect(errorCode(await other.send('POST', '/api/jobs', removal))).toBe('no_model');
    const refused = await ask(opened.viewer.port, '/api/jobs', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(job),
    });
    expect([refused.status, errorCode(refused)]).toEqual([401, 'token_needed']);
  });

  it('is no graph of the list, and is in the exported page', async () => {
    await answered({ about: 'heads' });
    const { graphs } = answer<GraphList>(await opened.ask('/api/graphs'));
    expect(graphs.map(({ slug }) => slug)).not.toContain('dallas.attention');
    const { text } = await opened.ask('/api/graphs/dallas/export.html');
    expect(text).toContain('"attention":{"links":');
  });

  it('is empty where nothing was asked, and where the graph is another one by now', async () => {
    const none: KeptAttention = { links: [], nodes: [], heads: [], effects: null };
    expect(await kept('graph-clt-p2')).toEqual(none);
    await answered({ about: 'heads' });
    await using other = await openedViewer((folder) => {
      copyFileSync(
        path.join(opened.folder, 'dallas.attention.json'),
        path.join(folder, 'graph-clt-p2.attention.json'),
      );
      copyReferenceFiles('tiny-a', folder);
    });
    expect(await kept('graph-clt-p2', other)).toEqual(none);
  });

  it('is not read from a damaged file or through a link, and a job says that it is not kept', async () => {
    const file = path.join(opened.folder, 'dallas.attention.json');
    writeFileSync(file, '{"format":"tracer.attention-answers"');
    const damaged = await opened.ask('/api/graphs/dallas/attention');
    expect([damaged.status, errorCode(damaged)]).toEqual([422, 'json_syntax']);
    rmSync(file);
    const elsewhere = path.join(opened.folder, '..', 'elsewhere.json');
    symlinkSync(elsewhere, file);
    const linked = await opened.ask('/api/graphs/dallas/attention');
    expect([linked.status, errorCode(linked)]).toEqual([422, 'not_a_file']);
    const { state, warnings } = await asked({ about: 'heads' });
    expect([state, warnings.length]).toEqual(['done', 1]);
    expect(warnings[0]).toMatch(/not kept/);
    expect(existsSync(elsewhere)).toBe(false);
    rmSync(file);
  });
});

describe('a viewer file', () => {
  it('is asked about by its tokens and logits, and a link has to weigh what it says', async () => {
    const [moved, other] = [movedLink(), graph.links.find(({ weight }) => Math.abs(weight) > 0.1)!];
    await using viewer = await openedViewer(
      async (folder) => {
        using session = await goldenSession('tiny-a', SET);
        await attributeIn(session, { input: { prompt: PROMPT }, graphDir: folder, slug: 'drawn' });
        const file = path.join(folder, 'drawn.json');
        const drawn = JSON.parse(readFileSync(file, 'utf8')) as ViewerGraph;
        const links = drawn.links.map((link) =>
          link.source === other.source && link.target === other.target
            ? { ...link, weight: 1.1 * link.weight }
            : link,
        );
        writeFileSync(file, JSON.stringify({ ...drawn, links }));
      },
      { common: { ...MODEL, transcoders: goldenPath('tiny-a', 'transcoders', SET) } },
    );
    expect(other).not.toEqual(moved);
    const jobOf = async ({ source, target }: typeof moved): Promise<JobStatus> =>
      await runJob(viewer, { kind: 'attention', slug: 'drawn', question: { about: 'link', source, target } });
    const { state, result } = await jobOf(moved);
    expect(state).toBe('done');
    const { edges } = (result as { result: { answer: LinkAnswer } }).result.answer;
    expect(Math.abs(edges[0]!.weight - moved.weight)).toBeLessThanOrEqual(TOLERANCE);
    expect((await kept('drawn', viewer)).links).toHaveLength(1);
    expect(await jobOf(other)).toMatchObject({ state: 'failed', error: { code: 'other_model' } });
    expect((await kept('drawn', viewer)).links).toHaveLength(1);
  });
});
