import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { UsageError } from '../../src/errors.ts';
import { edgeWeight, featureOf, rowOf } from '../../src/graph/graph.ts';
import { NodeLayout } from '../../src/graph/node-layout.ts';
import { readGolden } from './golden.ts';

const anyLayout = fc
  .record({
    n_features: fc.nat(5),
    n_layers: fc.integer({ min: 1, max: 4 }),
    n_pos: fc.integer({ min: 1, max: 4 }),
    n_logits: fc.integer({ min: 1, max: 3 }),
  })
  .map((counts) => new NodeLayout(counts));

describe('the order of nodes', () => {
  it('is features, errors by layer and position, tokens, logits', () => {
    const layout = new NodeLayout({ n_features: 2, n_layers: 2, n_pos: 3, n_logits: 1 });
    const kinds = Array.from({ length: layout.n_nodes }, (_, index) => layout.describe(index).kind);
    expect(kinds).toEqual([
      ...Array<string>(2).fill('feature'),
      ...Array<string>(6).fill('error'),
      ...Array<string>(3).fill('token'),
      'logit',
    ]);
    expect(layout.describe(6)).toEqual({ kind: 'error', layer: 1, position: 1 });
    expect(layout.errorIndex(1, 1)).toBe(6);
    expect(layout.tokenIndex(2)).toBe(10);
    expect(layout.logitIndex(0)).toBe(11);
  });

  it('describes every index as the node that has it', () => {
    fc.assert(
      fc.property(anyLayout, (layout) => {
        for (let index = 0; index < layout.n_nodes; index++)
          expect(layout.index(layout.describe(index))).toBe(index);
      }),
    );
  });

  it('gives a row to features and logits only, and finds the node of every row', () => {
    fc.assert(
      fc.property(anyLayout, (layout) => {
        const rows = Array.from({ length: layout.n_rows }, (_, row) => layout.nodeOfRow(row));
        expect(rows.map((node) => layout.rowOfNode(node))).toEqual([...rows.keys()]);
        const without = Array.from({ length: layout.n_nodes }, (_, node) => node).filter(
          (node) => layout.rowOfNode(node) < 0,
        );
        expect(new Set(without.map((node) => layout.describe(node).kind))).toEqual(
          new Set(['error', 'token']),
        );
      }),
    );
  });

  it('has no node outside it', () => {
    const layout = new NodeLayout({ n_features: 0, n_layers: 1, n_pos: 1, n_logits: 1 });
    for (const wrong of [-1, 3, 0.5, NaN]) expect(() => layout.describe(wrong)).toThrow(UsageError);
    expect(() => layout.featureIndex(0)).toThrow(/no node of that kind|There is no feature 0/);
    expect(() => layout.errorIndex(1, 0)).toThrow(/layer 1/);
    expect(() => layout.errorIndex(0, 1)).toThrow(/position 1/);
  });

  it('leads to the features and edges of a graph', async () => {
    const { graph } = await readGolden('tiny-a', 'graph-plt-jumprelu-p2-top60');
    const active = graph.selected_features[7]!;
    expect(Object.values(featureOf(graph, 7))).toEqual([
      ...graph.active_features.subarray(active * 3, active * 3 + 3),
      graph.activation_values[active],
    ]);
    const logit = graph.layout.logitIndex(2);
    expect(rowOf(graph, logit)).toHaveLength(graph.layout.n_nodes);
    expect(rowOf(graph, logit)![7]).toBe(edgeWeight(graph, logit, 7));
    expect(rowOf(graph, graph.layout.tokenIndex(1))).toBeUndefined();
    expect(edgeWeight(graph, graph.layout.errorIndex(0, 1), 7)).toBe(0);
  });
});
