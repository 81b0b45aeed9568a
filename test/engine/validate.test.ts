import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { traceGraph } from '../../src/engine/attribute/attribute.ts';
import { predictAblation, predictAblations } from '../../src/engine/validate/prediction.ts';
import { rankCorrelation } from '../../src/engine/validate/rank.ts';
import { targetNode, validateIn } from '../../src/engine/validate/validate.ts';
import { NodeLayout } from '../../src/graph/node-layout.ts';
import type { Graph } from '../../src/graph/graph.ts';
import { prompts, tolerances, type Fixture } from '../support/golden.ts';
import { goldenSession } from './golden-session.ts';

describe('the prediction of an ablation', () => {
  it('follows every path through other features, each in proportion to its activation', () => {
    // Three features of layers 0, 1, 2 with activations 2, 4, 5 at one position, one logit.
    const layout = new NodeLayout({ n_features: 3, n_layers: 3, n_pos: 1, n_logits: 1 });
    const edges = new Float32Array(layout.n_rows * layout.n_nodes);
    const edge = (row: number, source: number, weight: number): void => {
      edges[row * layout.n_nodes + source] = weight;
    };
    edge(1, 0, 1); // a quarter of what the second feature reads
    edge(2, 0, 0.5);
    edge(2, 1, 2.5); // half of what the third reads
    edge(3, 0, 3);
    edge(3, 1, 8);
    edge(3, 2, 10);
    const graph = {
      layout,
      edges,
      active_features: Int32Array.from([0, 0, 7, 1, 0, 8, 2, 0, 9]),
      activation_values: Float32Array.from([2, 4, 5]),
      selected_features: Int32Array.from([0, 1, 2]),
    } as Graph;
    const second = -1 / 4;
    const third = (-0.5 + 2.5 * second) / 5;
    expect(predictAblation(graph, 0, layout.logits.start)).toEqual({
      direct: -3,
      total: -3 + 8 * second + 10 * third,
    });
    expect(predictAblation(graph, 2, layout.logits.start)).toEqual({ direct: -10, total: -10 });
    // Together: the second is off already and loses nothing more, the third loses what both wrote.
    expect(predictAblations(graph, [1, 0], [layout.logits.start])).toEqual([
      { direct: -3 - 8, total: -3 - 8 + 10 * ((-0.5 - 2.5) / 5) },
    ]);
    expect(predictAblations(graph, [], [layout.logits.start])[0]!.total).toBeCloseTo(0, 12);
  });
});

describe('the rank correlation', () => {
  const numbers = fc.array(fc.integer({ min: -50, max: 50 }), { minLength: 2, maxLength: 20 });

  it('is 1 for the same order, -1 for the opposite, and nothing without an order', () => {
    expect(rankCorrelation([1, 5, 2], [10, 11, 10.5])).toBeCloseTo(1);
    expect(rankCorrelation([1, 5, 2], [3, -7, 0])).toBeCloseTo(-1);
    expect(rankCorrelation([1], [2])).toBeNull();
    expect(rankCorrelation([1, 1], [2, 3])).toBeNull();
  });

  it('shares ranks between equal numbers', () => {
    // Ranks 1, 2.5, 2.5, 4 and 1, 2, 3, 4: Pearson of the ranks is 4.5 / sqrt(4.5 · 5).
    expect(rankCorrelation([1, 2, 2, 3], [1, 2, 3, 4])).toBeCloseTo(4.5 / Math.sqrt(4.5 * 5), 12);
  });

  it('does not change under a rising function, and turns its sign under a falling one', () => {
    fc.assert(
      fc.property(numbers, (values) => {
        const other = values.map((value, i) => value * 3 + ((i * 7) % 11));
        const found = rankCorrelation(values, other);
        fc.pre(found !== null);
        expect(rankCorrelation(values.map(Math.cbrt), other)).toBeCloseTo(found, 10);
        expect(
          rankCorrelation(
            values.map((value) => -value),
            other,
          ),
        ).toBeCloseTo(-found, 10);
      }),
    );
  });
});

const CASES: readonly { fixture: Fixture; set: string }[] = [
  { fixture: 'tiny-a', set: 'plt-jumprelu' },
  { fixture: 'tiny-a', set: 'plt-relu-skip' },
  { fixture: 'tiny-b', set: 'clt' },
];

describe('a graph against its model', () => {
  it.each(CASES)(
    'is exact with everything else held fixed, and an estimate without ($fixture $set)',
    async ({ fixture, set }) => {
      using session = await goldenSession(fixture, set);
      const graph = await traceGraph(session, { prompt: prompts(fixture).p2.text }, {});
      const target = targetNode(graph, undefined);
      const request = { file: 'graph.safetensors', top: 8 };
      const exact = await validateIn(session, graph, target, { ...request, direct: true });
      expect(exact.features).toHaveLength(8);
      expect(exact.largest_error).toBeLessThan(tolerances(fixture).interventions_and_generation);
      expect(exact.rank_correlation).toBeCloseTo(1);
      const influences = exact.features.map(({ influence }) => influence);
      expect(influences).toEqual([...influences].sort((a, b) => b - a));

      const free = await validateIn(session, graph, target, request);
      expect(free.features.map(({ feature }) => feature)).toEqual(
        exact.features.map(({ feature }) => feature),
      );
      expect(free.features.map((feature) => feature.predicted_direct)).toEqual(
        exact.features.map((feature) => feature.predicted),
      );
      expect(free.largest_error).toBeGreaterThan(exact.largest_error);
      expect(Math.abs(free.rank_correlation!)).toBeLessThanOrEqual(1);
    },
  );

  it('is refused for another set, with the feature that differs', async () => {
    using session = await goldenSession('tiny-a', 'plt-jumprelu');
    const graph = await traceGraph(session, { prompt: prompts('tiny-a').p2.text }, {});
    using other = await goldenSession('tiny-a', 'plt-topk');
    await expect(
      validateIn(other, graph, targetNode(graph, undefined), { file: 'g.safetensors' }),
    ).rejects.toMatchObject({ exitCode: 2, code: 'other_model' });
    using deeper = await goldenSession('tiny-b', 'plt-jumprelu');
    await expect(
      validateIn(deeper, graph, targetNode(graph, undefined), { file: 'g.safetensors' }),
    ).rejects.toMatchObject({
      exitCode: 2,
      message: expect.stringContaining('made with a model of 4 layers'),
    });
  });

  it('finds its target by the string of a logit', async () => {
    using session = await goldenSession('tiny-a', 'plt-jumprelu');
    const graph = await traceGraph(session, { prompt: prompts('tiny-a').p2.text }, {});
    const labels = graph.provenance.logit_labels;
    expect(targetNode(graph, labels[1])).toBe(graph.layout.logits.start + 1);
    expect(() => targetNode(graph, 'nowhere')).toThrow(expect.objectContaining({ exitCode: 2 }));
  });

  it('cannot be measured for a direction, whose vector its file does not have', async () => {
    using session = await goldenSession('tiny-a', 'plt-jumprelu');
    const [plus, minus] = [' to', ' is'];
    const graph = await traceGraph(
      session,
      { prompt: prompts('tiny-a').p2.text },
      { targets: { kind: 'difference', plus, minus } },
    );
    await expect(
      validateIn(session, graph, targetNode(graph, undefined), { file: 'g.safetensors' }),
    ).rejects.toMatchObject({ exitCode: 2, code: 'custom_target' });
  });
});
