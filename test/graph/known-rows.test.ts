import { describe, expect, it } from '@jest/globals';
import type { Graph } from '../../src/graph/graph.ts';
import { KnownRows } from '../../src/graph/known-rows.ts';
import { RowColumns } from '../../src/graph/row-columns.ts';
import { largestDifference, readGolden, toleranceOf, type Fixture } from './golden.ts';

/** Graphs whose features were chosen, each with the graph of the same prompt that has every row. */
const CHOSEN: { fixture: Fixture; whole: string; id: string }[] = [
  ...['top60', 'top60-bs4-ui2', 'strings', 'tokens'].map((id) => ({ fixture: 'tiny-a' as const, id })),
  ...['top45', 'top45-bs3-ui3', 'strings', 'tokens'].map((id) => ({ fixture: 'tiny-b' as const, id })),
].map(({ fixture, id }) => ({ fixture, whole: 'graph-plt-jumprelu-p2', id: `graph-plt-jumprelu-p2-${id}` }));

/** Rows over all sources (logits are none) of a graph in which every feature is selected. */
function rowsOf(graph: Graph, rows: number[]): Float32Array {
  const { n_nodes, logits } = graph.layout;
  const values = new Float32Array(rows.length * logits.start);
  rows.forEach((row, i) => {
    values.set(graph.edges.subarray(row * n_nodes, row * n_nodes + logits.start), i * logits.start);
  });
  return values;
}

/** Rows of the whole graph for the logits of another graph on the same prompt. */
function logitRows(whole: Graph, ids: Int32Array): Float32Array {
  return rowsOf(
    whole,
    Array.from(ids, (id) => whole.layout.n_features + whole.logit_token_ids.indexOf(id)),
  );
}

describe('choosing features while rows are only partly known', () => {
  it.each(CHOSEN)('ranks and picks as the reference does: $fixture $id', async ({ fixture, whole, id }) => {
    const tolerance = toleranceOf(fixture);
    const { graph: full } = await readGolden(fixture, whole);
    const { graph, rankings, entry } = await readGolden(fixture, id);
    const n_active = full.layout.n_features;
    const { n_layers, n_pos } = full.layout;
    const known = new KnownRows(
      RowColumns.ofAll(full.active_features, n_layers, n_pos),
      (feature) => full.active_features[3 * feature]!,
      graph.logit_probabilities,
    );
    known.appendLogits(logitRows(full, graph.logit_token_ids));
    const { batch_size, update_interval, max_feature_nodes } = entry.options;

    let n_known = 0;
    for (const { influences, picked } of rankings) {
      const influence = known.influence();
      expect(largestDifference(influence.subarray(0, n_active), influences)).toBeLessThanOrEqual(
        tolerance.probabilities_influence_scores,
      );
      const best = known.best(
        Math.min(batch_size! * update_interval!, max_feature_nodes! - n_known),
        influence,
      );
      expect(Array.from(best)).toEqual(Array.from(picked));
      known.append(best, rowsOf(full, Array.from(best)));
      n_known += best.length;
    }
    expect(n_known).toBe(graph.layout.n_features);

    const edges = known.takeEdges(graph.selected_features);
    expect(largestDifference(edges, graph.edges)).toBeLessThanOrEqual(tolerance.adjacency);
    expect(known.has(graph.selected_features[0]!)).toBe(false);
  });

  /** Two features in layers 0 and 1 of a prompt of one token: columns [feature 0, feature 1, error 0, error 1, token]. */
  const two = () =>
    new KnownRows(RowColumns.ofAll(Int32Array.of(0, 0, 5, 1, 0, 7), 2, 1), (feature) => feature, [1]);

  it('lets influence pass through rows that are known', () => {
    const known = two();
    known.appendLogits(Float32Array.of(1, -4, 0, 2, 1));
    expect(Array.from(known.influence())).toEqual([0.125, 0.5, 0, 0.25, 0.125]);
    expect(Array.from(known.best(1))).toEqual([1]);
    known.append([1], Float32Array.of(-2, 0, 1, 0, 1));
    expect(Array.from(known.influence())).toEqual([0.375, 0.5, 0.125, 0.25, 0.25]);
    expect(Array.from(known.best(5))).toEqual([0]);
  });

  it('keeps of a row only what can reach its layer', () => {
    const known = two();
    known.append([0, 1], Float32Array.of(0, 0, 0, 0, 3, 4, 0, 5, 0, 6));
    expect(known.n_values).toBe(1 + 3);
    known.appendLogits(new Float32Array(5));
    expect(known.n_values).toBe(1 + 3 + 5);
    expect(Array.from(known.takeEdges(Int32Array.of(0, 1)))).toEqual([
      ...[0, 0, 0, 0, 3, 0],
      ...[4, 0, 5, 0, 6, 0],
      ...[0, 0, 0, 0, 0, 0],
    ]);
    expect(known.n_values).toBe(0);
  });

  it('lets other columns and rows go when the choice is made, and takes narrower rows from then on', () => {
    const columns = RowColumns.ofAll(Int32Array.of(0, 0, 5, 0, 0, 6, 1, 0, 7, 1, 0, 8), 2, 1);
    const known = new KnownRows(columns, (feature) => Math.floor(feature / 2), [1]);
    known.appendLogits(Float32Array.of(1, 2, 3, 4, 5, 6, 7));
    known.append([2, 3], Float32Array.of(8, 9, 0, 0, 10, 0, 11, 12, 13, 0, 0, 14, 0, 15));
    known.narrowTo(Int32Array.of(1, 3));
    expect(known.columns.n_columns).toBe(5);
    expect([known.has(2), known.has(3)]).toEqual([false, true]);
    known.append([1], Float32Array.of(0, 0, 0, 0, 16));
    expect(Array.from(known.takeEdges(Int32Array.of(1, 3)))).toEqual([
      ...[0, 0, 0, 0, 16, 0],
      ...[13, 0, 14, 0, 15, 0],
      ...[2, 4, 5, 6, 7, 0],
    ]);
  });

  it('refuses to finish a graph with a feature whose row was never computed', () => {
    const known = two();
    known.appendLogits(new Float32Array(5));
    expect(() => known.takeEdges(Int32Array.of(1))).toThrow(/active feature 1/);
  });
});
