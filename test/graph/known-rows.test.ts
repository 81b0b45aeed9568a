import { describe, expect, it } from '@jest/globals';
import type { Graph } from '../../src/graph/graph.ts';
import { KnownRows } from '../../src/graph/known-rows.ts';
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
    const known = new KnownRows({
      n_active,
      n_columns: full.layout.logits.start,
      logitProbabilities: graph.logit_probabilities,
    });
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

  it('needs no copy of the rows: it reads the arrays that it was given', () => {
    const known = new KnownRows({ n_active: 2, n_columns: 3, logitProbabilities: [1] });
    const rows = Float32Array.from([3, -1, 0]);
    known.appendLogits(rows);
    expect(Array.from(known.influence())).toEqual([0.75, 0.25, 0]);
    known.append([0], Float32Array.from([0, 0, -2]));
    expect(Array.from(known.influence())).toEqual([0.75, 0.25, 0.75]);
    expect(Array.from(known.best(5))).toEqual([1]);
  });

  it('refuses to finish a graph with a feature whose row was never computed', () => {
    const known = new KnownRows({ n_active: 2, n_columns: 3, logitProbabilities: [1] });
    known.appendLogits(Float32Array.from([3, -1, 0]));
    expect(() => known.takeEdges(Int32Array.of(1))).toThrow(/active feature 1/);
  });
});
