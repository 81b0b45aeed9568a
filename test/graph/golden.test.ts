import { describe, expect, it } from '@jest/globals';
import { nodeInfluence } from '../../src/graph/influence.ts';
import { pruneGraph } from '../../src/graph/prune.ts';
import { graphScores, subgraphScores } from '../../src/graph/scores.ts';
import { goldenIds, largestDifference, readGolden, toleranceOf } from './golden.ts';

describe.each(goldenIds())('$fixture $id', ({ fixture, id }) => {
  const tolerance = toleranceOf(fixture).probabilities_influence_scores;

  it('has the influence that the reference computes with a power series', async () => {
    const { graph } = await readGolden(fixture, id);
    expect(largestDifference(nodeInfluence(graph), graph.node_influence)).toBeLessThanOrEqual(tolerance);
  });

  it('keeps the same nodes and edges at every pair of thresholds, with the same cumulative scores', async () => {
    const { graph, prunings } = await readGolden(fixture, id);
    expect(prunings.length).toBeGreaterThanOrEqual(2);
    for (const { nodeThreshold, edgeThreshold, nodeMask, edges, cumulativeScores } of prunings) {
      const pruned = pruneGraph(graph, { nodeThreshold, edgeThreshold });
      expect(Array.from(pruned.nodeMask)).toEqual(nodeMask);
      expect(Array.from(pruned.edges)).toEqual(edges);
      // Nodes of equal influence (all those of none) have no order of their own.
      expect(largestDifference(pruned.cumulativeScores, cumulativeScores)).toBeLessThanOrEqual(tolerance);
    }
  });

  it('has the same replacement and completeness, also when every feature is pinned', async () => {
    const { graph, entry } = await readGolden(fixture, id);
    const scores = graphScores(graph);
    expect(Math.abs(scores.replacement - entry.replacement_score)).toBeLessThanOrEqual(tolerance);
    expect(Math.abs(scores.completeness - entry.completeness_score)).toBeLessThanOrEqual(tolerance);
    const allPinned = subgraphScores(
      graph,
      Array.from({ length: graph.layout.n_features }, (_, i) => i),
    );
    expect(allPinned.replacement).toBeCloseTo(scores.replacement, 12);
    expect(allPinned.completeness).toBeCloseTo(scores.completeness, 12);
  });
});
