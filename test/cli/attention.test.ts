import { afterAll, describe, expect, it } from '@jest/globals';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { attentionRuns, type RunOfFixture } from '../attention/golden.ts';
import { openSafetensors } from '../../src/formats/safetensors.ts';
import { readGraph } from '../../src/graph/files.ts';
import { TEST_DEVICES } from '../support/backends.ts';
import { goldenPath, IS_FULL } from '../support/golden.ts';
import { readTensors } from '../support/tensors.ts';
import { tracer } from './shared.ts';
import { envelope } from './start.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'tracer-attention-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const at = (name: string): string => path.join(folder, name);
const PROMPT = 'The capital of the state containing Dallas is';

const RUNS = attentionRuns().filter(({ run }, i) => IS_FULL || i === 0 || run.set === 'plt-relu');

async function ask(args: readonly string[]): Promise<Record<string, unknown>> {
  const finished = await tracer(['attention', ...args, '--json', '--quiet']);
  expect(finished.stderr).toBe('');
  expect(finished.exitCode).toBe(0);
  return envelope(finished).data!;
}

function subject({ fixture, run }: RunOfFixture): string[] {
  return [
    ...['--tokens', run.token_ids.join(), '--model', goldenPath(fixture, 'model')],
    ...['--transcoders', goldenPath(fixture, 'transcoders', run.set)],
    ...['--target-tokens', run.logit_token_ids.join()],
  ];
}

interface Listed {
  readonly id: string;
  readonly value: number;
}

describe.each(TEST_DEVICES)('tracer attention on %s', (device) => {
  it.each(RUNS.map((run) => [run.title, run] as const))(
    'explains heads as the golden data of %s',
    async (_, golden) => {
      const { run, expectNumbers, expectStored, stored } = golden;
      const one = run.cases[0]!;
      const output = at(`${device}-head.safetensors`);
      const data = await ask([
        ...subject(golden),
        ...['--head', `${one.layer}.${one.head}`, '--query', String(one.query), '--key', String(one.key)],
        ...['--output', output, '--matrix', '--by', 'layer', '--top', '5', '--device', device],
      ]);
      expect(data).toMatchObject({
        layer: one.layer,
        head: one.head,
        query: { position: one.query },
        key: { position: one.key },
        visible: one.visible,
        window: one.window,
        against: null,
        n_sources: run.n_sources,
        groups: run.groups,
      });
      const { score, capped, cap_factor, pattern, total, contrasts, rest } = data as Record<
        string,
        number
      > & {
        contrasts: { mean: number; pattern: number };
      };
      expectNumbers(
        'scores',
        [score!, capped!, cap_factor!, pattern!, total!, contrasts.mean, contrasts.pattern],
        [
          one.score,
          one.capped,
          one.cap_factor,
          one.pattern,
          one.score,
          one.contrasts.mean!,
          one.contrasts.pattern!,
        ],
        'scores',
      );
      const pairs = data['pairs'] as { query: Listed; key: Listed; value: number }[];
      expect(pairs).toHaveLength(5);
      expect(pairs.reduce((sum, { value }) => sum + value, rest!)).toBeCloseTo(total!, 4);
      const tensors = await readTensors(output);
      for (const name of ['query_marginal', 'key_marginal'])
        await expectStored(`cases/${one.id}/${name}`, tensors.get(name)!.values, 'marginals and totals');
      for (const name of ['by_layer', 'by_position'])
        await expectStored(`cases/${one.id}/${name}`, tensors.get(name)!.values, 'groups');
      await expectStored(`cases/${one.id}/matrix`, tensors.get('matrix')!.values, 'pairs');
      const by = data['by'] as { grouping: string; values: number[][] };
      expect(by.grouping).toBe('layer');
      await expectStored(`cases/${one.id}/by_layer`, by.values.flat(), 'groups');
      const effects = data['logit_effects'] as { token_id: number; direct: number; total: number }[];
      expect(effects.map(({ token_id }) => token_id)).toEqual(run.logit_token_ids);
      for (const kind of ['direct', 'total'] as const)
        await expectStored(
          `cases/${one.id}/logit_${kind}`,
          effects.map((effect) => effect[kind]),
          'logit effects',
        );
      using file = await openSafetensors(output);
      expect(file.metadata).toMatchObject({ format: 'tracer.attention', format_version: '1' });
      expect(JSON.parse(file.metadata['sources']!)).toEqual(run.sources);
      const strongest = [...(await stored(`cases/${one.id}/query_marginal`)).values.entries()].sort(
        ([, a], [, b]) => Math.abs(b) - Math.abs(a),
      )[0]!;
      expect((data['query_marginal'] as Listed[])[0]).toMatchObject({ id: run.sources[strongest[0]] });
    },
  );

  it.each(RUNS.map((run) => [run.title, run] as const))(
    'follows edges and lists heads as the golden data of %s',
    async (_, golden) => {
      const { run, expectNumbers, expectStored } = golden;
      const output = at(`${device}-edges.safetensors`);
      const shared = [...subject(golden), '--output', output, '--device', device];
      const data = await ask([
        ...shared,
        ...run.edges.flatMap(({ source, target }) => ['--edge', source, target]),
      ]);
      const edges = data['edges'] as {
        source: Listed;
        target: Listed;
        weight: number;
        direct: number;
        last: Listed[];
        first: Listed[];
        bypass: number[];
        rest_last: number;
        rest_first: number;
      }[];
      const tensors = await readTensors(output);
      for (const [i, edge] of run.edges.entries()) {
        const found = edges[i]!;
        expect([found.source.id, found.target.id]).toEqual([edge.source, edge.target]);
        expectNumbers(edge.id, [found.weight, found.direct], [edge.weight, edge.direct], 'loadings');
        const sum = (list: Listed[], start: number): number =>
          list.reduce((all, { value }) => all + value, start);
        expect(sum(found.last, found.direct + found.rest_last)).toBeCloseTo(found.weight, 4);
        expect(sum(found.first, found.direct + found.rest_first)).toBeCloseTo(found.weight, 4);
        for (const name of ['last', 'first', 'through', 'only', 'last_keys', 'first_queries'])
          await expectStored(
            `edges/${edge.id}/${name}`,
            tensors.get(`edges/${i}/${name}`)!.values,
            'loadings',
          );
      }
      const heads = await ask(shared);
      expect(heads['target']).toMatchObject({ token_id: run.logit_token_ids[0] });
      const all = await readTensors(output);
      await expectStored('heads/direct', all.get('heads/direct')!.values, 'logit effects');
      await expectStored('heads/total', all.get('heads/total')!.values, 'logit effects');
    },
  );

  it('measures the links of a graph, and writes them beside it', async () => {
    const [graph, output] = [at(`${device}-graph.safetensors`), at(`${device}-loadings.safetensors`)];
    const made = await tracer(['attribute', PROMPT, '--output', graph, '--device', device, '--quiet']);
    expect(made.exitCode).toBe(0);
    const data = await ask([
      '--graph',
      graph,
      '--heads',
      '--output',
      output,
      '--device',
      device,
      '--top',
      '1000',
    ]);
    const { shares, heads, n_links } = data as {
      shares: { direct: number; heads: number };
      heads: { last: number; first: number }[];
      n_links: number;
    };
    expect(shares.direct + shares.heads).toBeCloseTo(1, 6);
    expect(heads.reduce((sum, { last }) => sum + last, shares.direct)).toBeCloseTo(1, 5);
    const before = await readGraph(graph);
    expect(await readGraph(output)).toEqual(before); // a graph as before
    const tensors = await readTensors(output);
    const [links, direct, last] = ['links', 'direct', 'last'].map((name) =>
      tensors.get(`attention/${name}`)!,
    );
    expect(direct!.values).toHaveLength(n_links);
    const size = last!.values.length / n_links;
    const N = before.layout.n_nodes;
    for (let link = 0; link < n_links; link++) {
      const [target, source] = [links!.values[2 * link]!, links!.values[2 * link + 1]!];
      const sum = last!.values
        .subarray(link * size, (link + 1) * size)
        .reduce((all, value) => all + value, direct!.values[link]!);
      const edge = before.edges[before.layout.rowOfNode(target) * N + source]!;
      expect(Math.abs(sum - edge)).toBeLessThan(1e-4);
    }
    const head = await ask(['--graph', graph, '--head', '2.1', '--device', device]);
    expect(
      (head['query_marginal'] as { in_graph: boolean }[]).every(
        ({ in_graph }) => typeof in_graph === 'boolean',
      ),
    ).toBe(true);
  });

  it('saves the patterns of a run', async () => {
    const output = at(`${device}-patterns.safetensors`);
    const finished = await tracer([
      'run',
      PROMPT,
      '--patterns',
      output,
      '--device',
      device,
      '--quiet',
      '--json',
    ]);
    expect(finished.exitCode).toBe(0);
    const tensors = await readTensors(output);
    expect([...tensors.keys()].sort()).toEqual(
      [0, 1, 2, 3].map((layer) => `blocks.${layer}.attn.hook_pattern`),
    );
    for (const { values, shape } of tensors.values()) {
      const T = shape[2]!;
      for (let row = 0; row < values.length; row += T)
        expect(values.subarray(row, row + T).reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 4);
    }
  });

  it('shows the prediction for a head that is taken away beside the truth', async () => {
    const flags = ['--remove-head', '2.1:-1:7', '--device', device, '--quiet', '--json'];
    const free = envelope(await tracer(['intervene', PROMPT, ...flags])).data!;
    const held = envelope(await tracer(['intervene', PROMPT, ...flags, '--constrained-layers', '0:4'])).data!;
    const heads = (data: Record<string, unknown>) =>
      data['heads'] as {
        changes: object[];
        effects: { token_id: number; predicted: number; change: number }[];
      };
    expect(heads(held).changes).toEqual([{ layer: 2, head: 1, query: 8, key: 7, factor: 0 }]);
    for (const { predicted, change } of heads(held).effects) expect(change).toBeCloseTo(predicted, 3);
    expect(heads(free).effects[0]!.predicted).toBeCloseTo(heads(held).effects[0]!.predicted, 4);
    expect(Math.abs(heads(free).effects[0]!.change - heads(held).effects[0]!.change)).toBeGreaterThan(0.01);
    const swept = envelope(
      await tracer([
        'intervene',
        PROMPT,
        '--remove-head',
        '2.1',
        '--sweep',
        '1:7:392=0..2/2',
        '--device',
        device,
        '--quiet',
        '--json',
      ]),
    ).data!;
    expect(swept['points']).toHaveLength(2);
  });
});

describe('tracer attention refuses', () => {
  const head = ['--head', '2.1'];
  it.each([
    ['a layer that there is not', ['--head', '4.0'], 'layer_out_of_range'],
    ['a head that there is not', ['--head', '0.9'], 'head_out_of_range'],
    ['a query outside the prompt', [...head, '--query', '9'], 'position_out_of_range'],
    ['a key outside the prompt', [...head, '--key', '-10'], 'position_out_of_range'],
    ['a key behind the query', [...head, '--query', '3', '--key', '4'], 'key_not_visible'],
    ['a head that is given twice', [...head, '--head', '1.0'], 'repeated_option'],
    ['a contrast of one visible key', [...head, '--query', '0', '--against', 'mean'], 'no_contrast'],
    ['a contrast with the key itself', [...head, '--key', '7', '--against', '7'], 'no_contrast'],
    [
      'a contrast with a key that is not visible',
      [...head, '--query', '3', '--key', '2', '--against', '5'],
      'key_not_visible',
    ],
    ['a node that there is not', ['--edge', 'Dalas', ' Austin'], 'unknown_node'],
    ['half an edge', ['--edge', ' Dallas'], 'bad_value'],
    ['an edge from above', ['--edge', '3_498_8', '1_392_7'], 'impossible_edge'],
    ['an edge from behind', ['--edge', 'E_4132_8', '1_392_7'], 'impossible_edge'],
    ['an edge to a token', ['--edge', '0_104_7', 'E_4132_8'], 'impossible_edge'],
    ['a matrix without a file', [...head, '--matrix'], 'matrix_without_file'],
    ['flags of a head without a head', ['--key', '3'], 'flag_without_question'],
    ['two questions', [...head, '--edge', ' Dallas', ' Austin'], 'flags_exclude_each_other'],
    ['a summary without a graph', ['--heads'], 'missing_graph'],
    ['a head that is no head', ['--head', '3'], 'bad_value'],
    ['something else to compare with', [...head, '--against', 'all'], 'bad_value'],
    ['a prompt beside a graph', ['--graph', 'x.safetensors'], 'prompt_and_graph'],
  ])('%s', async (_, flags, code) => {
    const output = at('refused.safetensors');
    const finished = await tracer([
      'attention',
      PROMPT,
      ...flags,
      '--json',
      '--quiet',
      ...(code === 'matrix_without_file' ? [] : ['--output', output]),
    ]);
    const { error } = envelope(finished);
    expect({ code: error?.code, exitCode: finished.exitCode }).toEqual({ code, exitCode: 2 });
    expect(error!.message).not.toBe('');
    expect(error!.hint).not.toBe('');
    expect(existsSync(output)).toBe(false);
  });

  it.each([
    [['--remove-head', '9.0'], 'layer_out_of_range'],
    [['--remove-head', '2'], 'bad_head'],
    [['--scale-head', '2.1'], 'bad_head'],
    [['--renormalize'], 'renormalize_without_head'],
    [['--remove-head', '2.1:1:5'], 'key_not_visible'],
  ])('to intervene with %j', async (flags, code) => {
    const finished = await tracer(['intervene', PROMPT, ...flags, '--json', '--quiet']);
    expect({ code: envelope(finished).error?.code, exitCode: finished.exitCode }).toEqual({
      code,
      exitCode: 2,
    });
  });
});
