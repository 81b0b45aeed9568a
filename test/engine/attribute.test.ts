import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import path from 'node:path';
import { attribute, attributeIn, traceGraph } from '../../src/engine/attribute/attribute.ts';
import type { GraphOptions } from '../../src/engine/attribute/types.ts';
import type { Session } from '../../src/engine/session.ts';
import { BadFileError, UsageError } from '../../src/errors.ts';
import { readGraph } from '../../src/graph/files.ts';
import { rowOf, type Graph } from '../../src/graph/graph.ts';
import { goldenPath, prompts, tolerances } from '../support/golden.ts';
import { scratchFolder } from '../support/scratch.ts';
import { expectValues } from '../support/tensors.ts';
import { alteredSet, type Alteration } from './altered-set.ts';
import { goldenSession } from './golden-session.ts';

const scratch = scratchFolder();
const { p2 } = prompts('tiny-a');
let session: Session;
beforeAll(async () => {
  session = await goldenSession('tiny-a', 'plt-jumprelu');
});
afterAll(() => {
  session[Symbol.dispose]();
  scratch[Symbol.dispose]();
});

const trace = (options: GraphOptions = {}, tokens: readonly number[] = p2.token_ids): Promise<Graph> =>
  traceGraph(session, { tokens }, options);

/** Feature of each selected node, as text. */
const chosen = (graph: Graph): string[] =>
  Array.from(graph.selected_features, (active) =>
    graph.active_features.subarray(3 * active, 3 * active + 3).join(':'),
  );

describe('a difference of two logits', () => {
  it('has the edges of the one minus the edges of the other', async () => {
    const [plus, minus] = [300, 315];
    const both = await trace({ targets: { kind: 'tokens', ids: [plus, minus] } });
    const [a, b] = session.tokenizer.tokenStrings([plus, minus]) as [string, string];
    const difference = await trace({ targets: { kind: 'difference', plus: a, minus: b } });
    const n = both.layout.logits.start;
    const [x, y] = [0, 1].map((logit) => rowOf(both, both.layout.logitIndex(logit))!);
    const found = rowOf(difference, difference.layout.logitIndex(0))!.subarray(0, n);
    const expected = x!.subarray(0, n).map((edge, i) => edge - y![i]!);
    expectValues('difference', found, expected, tolerances('tiny-a').adjacency);
    expect(difference.provenance.logit_labels[0]).toContain(a.trim());
    expect(difference.provenance.options).toMatchObject({ target_difference: [a, b] });
    expect([...difference.logit_probabilities]).toEqual([1]);
  });
});

describe('an earlier position', () => {
  it.each([4, -3])('%d is explained as if the prompt ended there', async (targetPosition) => {
    const T = p2.token_ids.length;
    const end = (targetPosition < 0 ? T + targetPosition : targetPosition) + 1;
    const at = await trace({ targetPosition });
    const cut = await trace({}, p2.token_ids.slice(0, end));
    expect([...at.input_tokens]).toEqual(p2.token_ids.slice(0, end));
    expect([...at.logit_token_ids]).toEqual([...cut.logit_token_ids]);
    expect(at.edges).toEqual(cut.edges);
    expect(at.provenance.options['target_position']).toBe(targetPosition);
  });
});

describe('selection under a limit', () => {
  const LIMIT = 60;
  const exact = (batchSize: number, updateInterval: number, maxFeatureNodes = LIMIT): Promise<Graph> =>
    trace({ selection: 'exact', maxFeatureNodes, batchSize, updateInterval });

  it('that is exact depends neither on the batch size nor on the interval', async () => {
    const first = await exact(512, 4);
    expect(first.selected_features).toHaveLength(LIMIT);
    for (const [batchSize, interval] of [
      [1, 1],
      [3, 2],
      [7, 100],
    ] as const) {
      const other = await exact(batchSize, interval);
      expect(chosen(other)).toEqual(chosen(first));
      expectValues('edges', other.edges, first.edges, tolerances('tiny-a').adjacency);
    }
  });

  it('that follows the reference depends on both, and differs from the exact one', async () => {
    const rounds = (batchSize: number, updateInterval: number): Promise<Graph> =>
      trace({ maxFeatureNodes: LIMIT, batchSize, updateInterval });
    const [one, many, best] = [await rounds(512, 4), await rounds(2, 1), await exact(512, 4)];
    expect(chosen(one)).not.toEqual(chosen(many));
    expect(chosen(one)).not.toEqual(chosen(best));
  });

  it('leaves everything in when the limit is not below what there is', async () => {
    const all = await trace({ maxFeatureNodes: 0 });
    const n = all.selected_features.length;
    expect((await exact(512, 4, n)).edges).toEqual(all.edges);
    expect((await trace({ maxFeatureNodes: n + 1 })).edges).toEqual(all.edges);
  });

  it('takes a single feature', async () => {
    for (const selection of ['exact', 'reference'] as const) {
      const graph = await trace({ maxFeatureNodes: 1, selection });
      expect(graph.selected_features).toHaveLength(1);
      expect(graph.layout.n_features).toBe(1);
    }
  });
});

/** A graph by the whole way: files written and read back, scores, viewer, verification. */
async function whole(
  name: string,
  inSession: Session,
  tokens: readonly number[],
  options: GraphOptions = {},
) {
  const output = path.join(scratch.path, `${name}.safetensors`);
  const places = { output, graphDir: path.join(scratch.path, 'viewer'), slug: name };
  const result = await attributeIn(inSession, { input: { tokens }, ...options, ...places, verify: 5 });
  expect(result.verification).toMatchObject({ ok: true });
  expect(result.files).toHaveLength(3);
  expect(Number.isFinite(result.scores.replacement) && Number.isFinite(result.scores.completeness)).toBe(
    true,
  );
  return { result, graph: await readGraph(output) };
}

describe('odd prompts', () => {
  const { bosId, eosId } = { bosId: 2, eosId: 1 };

  it.each([
    ['one token', [300]],
    ['BOS alone', [bosId]],
    ['special tokens only', [bosId, eosId, bosId, 0]],
    ['the same token over and over', Array.from({ length: 20 }, () => 300)],
  ])('%s', async (name, tokens) => {
    const { result, graph } = await whole(name.replaceAll(' ', '-'), session, tokens);
    expect(result.n_tokens).toBe(tokens.length);
    if (tokens.length === 1) {
      expect(result.n_active_features).toBe(0);
      // The token is all there is: BOS position has no features and no errors.
      const row = rowOf(graph, graph.layout.logitIndex(0))!;
      expect(row[graph.layout.tokenIndex(0)]).not.toBe(0);
    }
  });

  it('text that is a special token is not preceded by another one', async () => {
    const result = await attributeIn(session, { input: { prompt: '<bos>' } });
    expect(result.n_tokens).toBe(1);
  });

  it('more logits than the vocabulary has', async () => {
    const targets = { kind: 'most_likely', maxLogits: 100_000, desiredProbability: 1 } as const;
    const { result } = await whole('all-logits', session, p2.token_ids, { targets });
    expect(result.logit_targets.length).toBeLessThanOrEqual(560);
    const sum = result.logit_targets.reduce((total, { probability }) => total + probability, 0);
    expect(sum).toBeGreaterThan(0.999);
  });

  it.each([
    ['an empty text', { prompt: '' }, {}],
    ['no tokens', { tokens: [] }, {}],
    ['a token outside the vocabulary', { tokens: [2, 560] }, {}],
    ['a longer prompt than the context', { tokens: Array.from({ length: 257 }, () => 2) }, {}],
    ['a target outside the vocabulary', { tokens: [2, 3] }, { targets: { kind: 'tokens', ids: [560] } }],
    ['a negative target', { tokens: [2, 3] }, { targets: { kind: 'tokens', ids: [-1] } }],
    ['no target', { tokens: [2, 3] }, { targets: { kind: 'tokens', ids: [] } }],
    [
      'a text of several tokens',
      { tokens: [2, 3] },
      { targets: { kind: 'strings', texts: ['Dallas Texas'] } },
    ],
    ['a position outside the prompt', { tokens: [2, 3] }, { targetPosition: 2 }],
  ] as const)('%s is refused', async (_, input, options) => {
    await expect(attributeIn(session, { input, ...(options as GraphOptions) })).rejects.toBeInstanceOf(
      UsageError,
    );
  });
});

describe('odd transcoders', () => {
  let n = 0;
  async function sessionWith(fixture: 'tiny-a' | 'tiny-b', set: string, alteration: Alteration) {
    const folder = path.join(scratch.path, `set-${n++}`);
    return await goldenSession(fixture, set, await alteredSet(fixture, set, folder, alteration));
  }
  const silence = (only: (layer: number, feature: number) => boolean): Alteration => ({
    tensor: (name, values, layer) => {
      if (!/threshold/.test(name)) return;
      values.forEach((_, feature) => {
        if (only(layer, feature)) values[feature] = 1e9;
      });
    },
  });

  it('without any active feature leave errors and tokens', async () => {
    using silent = await sessionWith(
      'tiny-a',
      'plt-jumprelu',
      silence(() => true),
    );
    const { result } = await whole('silent', silent, p2.token_ids);
    expect(result.n_active_features).toBe(0);
    expect(result.n_nodes).toBe(4 * p2.token_ids.length + p2.token_ids.length + result.logit_targets.length);
    expect(result.top_features).toEqual([]);
  });

  it('without an active feature at the last position', async () => {
    const before = await trace();
    const last = p2.token_ids.length - 1;
    const atLast = new Set<string>();
    for (let i = 0; i < before.activation_values.length; i++) {
      const [layer, position, feature] = before.active_features.subarray(3 * i, 3 * i + 3);
      if (position === last) atLast.add(`${layer!}:${feature!}`);
    }
    using quiet = await sessionWith(
      'tiny-a',
      'plt-jumprelu',
      silence((layer, feature) => atLast.has(`${layer}:${feature}`)),
    );
    const { graph } = await whole('quiet-end', quiet, p2.token_ids);
    const positions = [...graph.active_features].filter((_, i) => i % 3 === 1);
    expect(positions.length).toBeGreaterThan(0);
    expect(Math.max(...positions)).toBeLessThan(last);
  });

  it('that keep more values than are positive', async () => {
    const config = (text: string): string => text.replace(/^k: \d+$/m, 'k: 128');
    using wide = await sessionWith('tiny-a', 'plt-topk', { config });
    const { graph } = await whole('wide', wide, p2.token_ids.slice(0, 4), { maxFeatureNodes: 40 });
    expect(graph.activation_values.some((value) => value < 0)).toBe(true);
    // All 128 features of 4 layers at the 3 positions that count; one whose value is exactly 0 is not active.
    expect(graph.activation_values.length).toBeGreaterThan(4 * 3 * 120);
  });

  it.each(['W_enc', 'W_dec', 'b_enc', 'b_dec'])('with NaN in %s are refused, naming it', async (tensor) => {
    const alteration: Alteration = {
      tensor: (name, values, layer) => {
        if (name === tensor && layer === 2) values.fill(NaN);
      },
    };
    const work = async (): Promise<unknown> => {
      using damaged = await sessionWith('tiny-a', 'plt-jumprelu', alteration);
      return await attributeIn(damaged, { input: { tokens: p2.token_ids } });
    };
    const error = await work().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(BadFileError);
    expect((error as BadFileError).message).toMatch(new RegExp(`layer_2\\.safetensors.*${tensor}`));
  });
});

describe('what can be refused from names and configuration', () => {
  it('is refused before a weight is read', async () => {
    const phases: string[] = [];
    const request = {
      model: goldenPath('tiny-a', 'model'),
      transcoders: goldenPath('tiny-a', 'transcoders', 'clt'),
      device: 'wasm',
      input: { prompt: 'Hello' },
      targets: { kind: 'tokens', ids: [560] },
      onProgress: (event: { kind: string; phase?: string }) => phases.push(event.phase ?? event.kind),
    } as const;
    await expect(attribute(request)).rejects.toMatchObject({ code: 'target_out_of_range' });
    expect(phases).not.toContain('weights');
  });
});
