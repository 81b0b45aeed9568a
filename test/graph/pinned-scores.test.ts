import { expect, it } from '@jest/globals';
import { keptGraph } from '../../src/graph/kept-graph.ts';
import { pruneGraph } from '../../src/graph/prune.ts';
import { graphScores, subgraphScores } from '../../src/graph/scores.ts';
import { readGolden } from './golden.ts';

it('scores of pinned nodes of what pruning left are not those that its file has of the whole graph', async () => {
  const { graph } = await readGolden('tiny-a', 'graph-plt-jumprelu-p2');
  const whole = graphScores(graph);
  const kept = keptGraph(pruneGraph(graph), whole);
  expect(graphScores(kept)).toEqual(whole);
  const none = subgraphScores(kept, []).replacement;
  const all = subgraphScores(
    kept,
    Array.from({ length: kept.layout.n_features }, (_, node) => node),
  );
  expect(none).toBeLessThan(all.replacement);
  expect(all.replacement).toBeLessThan(1);
});
