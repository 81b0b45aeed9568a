/** However a graph holds its links, what is computed from them is the same to the last bit. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Graph } from '../../src/graph/graph.ts';
import { spreadInfluence } from '../../src/graph/influence.ts';
import { withMatrix, type GraphOfLinks, type LinkedGraph } from '../../src/graph/links.ts';
import { pruneGraph } from '../../src/graph/prune.ts';
import { graphScores, subgraphScores } from '../../src/graph/scores.ts';
import { SparseLinks } from '../../src/graph/sparse-links.ts';
import { graphOfPinned, linksOfPinned } from '../../src/graph/subgraph.ts';
import { arbitraryGraph } from './random-graph.ts';

const share = fc.constantFrom(0.5, 0.9, 1);

/** The links but for zeros without a sign, in an order that says nothing. */
function sparse({ edges, ...nodes }: Graph): GraphOfLinks {
  const { n_nodes } = nodes.layout;
  const places = [...edges.keys()].filter((place) => !Object.is(edges[place], 0));
  places.sort((a, b) => (a % 7) - (b % 7) || b - a);
  const links = new SparseLinks(nodes.layout, {
    rows: Int32Array.from(places, (place) => Math.floor(place / n_nodes)),
    sources: Int32Array.from(places, (place) => place % n_nodes),
    weights: Float32Array.from(places, (place) => edges[place]!),
  });
  return { ...nodes, links };
}

/** Everything that reads links. */
function computed(graph: LinkedGraph, pinned: readonly number[], thresholds: [number, number]) {
  const [nodeThreshold, edgeThreshold] = thresholds;
  const { nodeMask, edges, cumulativeScores } = pruneGraph(graph, { nodeThreshold, edgeThreshold });
  return {
    ...{ nodeMask, edges, cumulativeScores },
    spread: spreadInfluence(graph),
    ofKept: spreadInfluence(graph, nodeMask),
    scores: graphScores(graph),
    pinnedScores: subgraphScores(graph, pinned),
    pinned: graphOfPinned(graph, Int32Array.from(pinned)),
  };
}

const pinnedOf = ({ layout }: LinkedGraph, picks: readonly boolean[]): number[] =>
  Array.from({ length: layout.n_features }, (_, node) => node).filter((node) => picks[node]);
/** A graph, which features are pinned, and thresholds. */
const cases = [
  arbitraryGraph({ maxFeatures: 12 }),
  fc.array(fc.boolean(), { minLength: 12, maxLength: 12 }),
  fc.tuple(share, share),
] as const;

describe('a graph that holds its links in another form than a matrix', () => {
  it('has the same influence, scores and pruning with a list of links', () => {
    fc.assert(
      fc.property(...cases, (graph, pick, shares) => {
        const pinned = pinnedOf(graph, pick);
        expect(computed(sparse(graph), pinned, shares)).toEqual(computed(graph, pinned, shares));
        expect(withMatrix(sparse(graph))).toEqual(graph);
        expect(withMatrix(graph)).toBe(graph);
      }),
    );
  });

  it('has them too as a part of another graph', () => {
    fc.assert(
      fc.property(...cases, (graph, pick, shares) => {
        const part = linksOfPinned(graph, Int32Array.from(pinnedOf(graph, pick)));
        const pinned = pinnedOf(part, pick);
        expect(computed(part, pinned, shares)).toEqual(computed(withMatrix(part), pinned, shares));
      }),
    );
  });

  it('has of two links at one place the last', () => {
    const [graph] = fc.sample(
      arbitraryGraph().filter(({ layout }) => layout.n_features > 1),
      1,
    );
    const logit = graph!.layout.n_features;
    const links = new SparseLinks(graph!.layout, {
      rows: Int32Array.of(logit, logit, logit, 0),
      sources: Int32Array.of(1, 0, 1, graph!.layout.tokens.start),
      weights: Float32Array.of(3, 4, 5, 6),
    });
    const rows = links.rows();
    expect(rows.read(logit)).toBe(2);
    expect([...rows.sources.subarray(0, 2)]).toEqual([0, 1]);
    expect([...rows.weights.subarray(0, 2)]).toEqual([4, 5]);
    expect(rows.read(0)).toBe(1);
    expect(rows.read(1)).toBe(0);
  });
});
