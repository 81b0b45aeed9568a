import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { rowOf, type Graph } from '../../src/graph/graph.ts';
import { nodeInfluence } from '../../src/graph/influence.ts';
import { nodeId } from '../../src/graph/nodes.ts';
import { EDGE_FIELDS, pruneGraph, type PrunedGraph } from '../../src/graph/prune.ts';
import { graphScores, subgraphScores } from '../../src/graph/scores.ts';
import { cumulativeShares, shareCut } from '../../src/graph/share.ts';
import { keptGraph } from '../../src/graph/kept-graph.ts';
import { graphOfPruned } from '../../src/graph/subgraph.ts';
import { viewOf } from '../../src/graph/view.ts';
import { largestDifference } from './golden.ts';
import { arbitraryGraph, powerSeries } from './random-graph.ts';

const ROUNDING = 1e-12;
const threshold = fc.double({ min: 0, max: 1, noNaN: true });

/** Nodes on a way from a token or an error to a logit, and edges on such ways, as `target,source`. */
function onSomePath(graph: Graph): { nodes: Set<number>; edges: Set<string> } {
  const { layout } = graph;
  const sources = (node: number): number[] =>
    [...(rowOf(graph, node) ?? [])].flatMap((weight, source) => (weight === 0 ? [] : [source]));
  const startsAnywhere = (node: number): boolean =>
    node >= layout.n_features || sources(node).some(startsAnywhere);
  const nodes = new Set<number>();
  const edges = new Set<string>();
  const walk = (target: number): void => {
    for (const source of sources(target).filter(startsAnywhere)) {
      nodes.add(source);
      edges.add(`${target},${source}`);
      walk(source);
    }
  };
  for (let logit = layout.logits.start; logit < layout.n_nodes; logit++) walk(logit);
  return { nodes, edges };
}

function edgeNames({ edges }: PrunedGraph): string[] {
  return Array.from({ length: edges.length / EDGE_FIELDS }, (_, i) =>
    edges.subarray(i * EDGE_FIELDS, (i + 1) * EDGE_FIELDS).join(),
  );
}

function keptNodes({ nodeMask }: PrunedGraph): number[] {
  return [...nodeMask.keys()].filter((node) => nodeMask[node] === 1);
}

describe('influence on random graphs', () => {
  it('is by one reverse pass what it is by the power series', () => {
    fc.assert(
      fc.property(arbitraryGraph(), (graph) => {
        expect(largestDifference(nodeInfluence(graph), powerSeries(graph))).toBeLessThan(ROUNDING);
      }),
    );
  });
});

describe('the cut by share', () => {
  it('is the one that sorting everything finds', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 1 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (scores, share) => {
          const descending = [...scores].sort((a, b) => b - a);
          const total = scores.reduce((a, b) => a + b, 0);
          fc.pre(total > 0);
          let sum = 0;
          // A share that is met but for rounding has two right answers.
          const shares = descending.map((score) => (sum += score) / total);
          fc.pre(shares.every((reached) => Math.abs(reached - share) > ROUNDING));
          const cut = shareCut((visit) => scores.forEach((score) => visit(score)), share);
          expect(cut).toBe(descending[shares.findIndex((reached) => reached >= share)]);
        },
      ),
    );
  });

  it('keeps equal scores together and never a zero', () => {
    const cutOf = (scores: number[], share: number): number =>
      shareCut((visit) => scores.forEach((score) => visit(score)), share);
    expect(cutOf([1, 1, 1, 1], 0.3)).toBe(1);
    expect(cutOf([3, 2, 1, 0], 0.5)).toBe(3);
    expect(cutOf([3, 2, 1, 0], 1)).toBe(Number.MIN_VALUE);
    expect(cutOf([0, 0], 0.5)).toBe(Infinity);
    expect(cutOf([], 0.5)).toBe(Infinity);
  });

  it('gives cumulative shares that rise from the largest score to one', () => {
    expect(Array.from(cumulativeShares(Float64Array.of(1, 2, 0, 1)))).toEqual([0.75, 0.5, 1, 1]);
    expect(Array.from(cumulativeShares(Float64Array.of(0, 0)))).toEqual([1, 1]);
  });
});

describe('pruning random graphs', () => {
  it('keeps with thresholds of 1 everything that lies on a path, and nothing else', () => {
    fc.assert(
      fc.property(arbitraryGraph(), (graph) => {
        const pruned = pruneGraph(graph, { nodeThreshold: 1, edgeThreshold: 1 });
        const expected = onSomePath(graph);
        const inner = keptNodes(pruned).filter((node) => node < graph.layout.tokens.start);
        expect(new Set(inner)).toEqual(
          new Set([...expected.nodes].filter((node) => node < graph.layout.tokens.start)),
        );
        expect(new Set(edgeNames(pruned))).toEqual(expected.edges);
      }),
    );
  });

  it('finds nothing more to drop in what it kept', () => {
    fc.assert(
      fc.property(arbitraryGraph(), threshold, threshold, (graph, nodeThreshold, edgeThreshold) => {
        const once = pruneGraph(graph, { nodeThreshold, edgeThreshold });
        const again = pruneGraph(graphOfPruned(once), { nodeThreshold: 1, edgeThreshold: 1 });
        const { links, nodes } = viewOf(again);
        expect(links).toEqual(viewOf(once).links);
        expect(nodes.map(({ id }) => id)).toEqual(viewOf(once).nodes.map(({ id }) => id));
      }),
    );
  });

  it('leaves no feature without input or effect, no error without effect, and always keeps tokens and logits', () => {
    fc.assert(
      fc.property(arbitraryGraph(), threshold, threshold, (graph, nodeThreshold, edgeThreshold) => {
        const pruned = pruneGraph(graph, { nodeThreshold, edgeThreshold });
        const targets = new Set(edgeNames(pruned).map((name) => Number(name.split(',')[0])));
        const sources = new Set(edgeNames(pruned).map((name) => Number(name.split(',')[1])));
        for (const node of keptNodes(pruned)) {
          if (node < graph.layout.n_features) expect(targets).toContain(node);
          if (node < graph.layout.tokens.start) expect(sources).toContain(node);
        }
        expect(pruned.nodeMask.subarray(graph.layout.tokens.start)).not.toContain(0);
      }),
    );
  });

  it('keeps more with higher thresholds', () => {
    fc.assert(
      fc.property(arbitraryGraph(), threshold, threshold, (graph, a, b) => {
        const few = keptNodes(pruneGraph(graph, { nodeThreshold: Math.min(a, b), edgeThreshold: 1 }));
        const many = new Set(
          keptNodes(pruneGraph(graph, { nodeThreshold: Math.max(a, b), edgeThreshold: 1 })),
        );
        expect(few.filter((node) => !many.has(node))).toEqual([]);
      }),
    );
  });

  it('refuses a threshold that is no share', () => {
    const [graph] = fc.sample(arbitraryGraph(), 1);
    expect(() => pruneGraph(graph!, { nodeThreshold: 1.01 })).toThrow(
      /--node-threshold|node threshold is 1.01/,
    );
    expect(() => pruneGraph(graph!, { edgeThreshold: NaN })).toThrow(/edge threshold is NaN/);
  });
});

describe('scores of random graphs', () => {
  it('lie between 0 and 1, and pinning every feature is the whole graph', () => {
    fc.assert(
      fc.property(arbitraryGraph(), (graph) => {
        const whole = graphScores(graph);
        for (const score of Object.values(whole) as number[]) {
          expect(score).toBeGreaterThanOrEqual(0);
          expect(score).toBeLessThanOrEqual(1 + ROUNDING);
        }
        expect(
          subgraphScores(
            graph,
            Array.from({ length: graph.layout.n_nodes }, (_, i) => i),
          ),
        ).toEqual(whole);
      }),
    );
  });

  it('count features that are not pinned as error of their layer and position', () => {
    // One layer, one position: the logit gets 3 from the feature, 1 from the error, 4 from the token; the feature 2 from the token.
    const graph = fc.sample(
      arbitraryGraph({ maxLayers: 1, maxPositions: 1, maxFeatures: 1 }).filter(
        ({ layout }) => layout.n_features === 1 && layout.n_logits === 1,
      ),
      1,
    )[0]!;
    const small: Graph = {
      ...graph,
      edges: Float32Array.of(0, 0, 2, 0, 3, 1, 4, 0),
      logit_probabilities: Float32Array.of(1),
    };
    expect(subgraphScores(small, [0])).toEqual({
      replacement: 7 / 8,
      completeness: (7 / 8 + 3 / 8 + 1 / 8 + 7 / 8) / (1 + 3 / 8 + 1 / 8 + 7 / 8),
    });
    expect(subgraphScores(small, [])).toEqual({ replacement: 0.5, completeness: (0.5 + 0.5 + 0.5) / 2 });
  });
});

describe('a graph that is kept in place of a whole one', () => {
  const withThresholds = (graph: Graph, node_threshold: number, edge_threshold: number): Graph => ({
    ...graph,
    provenance: { ...graph.provenance, options: { store: 'nodes', node_threshold, edge_threshold } },
  });

  it('is pruned to itself with its own thresholds and larger ones, and has the scores and influences of the whole', () => {
    fc.assert(
      fc.property(arbitraryGraph(), threshold, threshold, (graph, nodeThreshold, edgeThreshold) => {
        const whole = withThresholds(graph, nodeThreshold, edgeThreshold);
        const pruned = pruneGraph(whole, { nodeThreshold, edgeThreshold });
        const kept = keptGraph(pruned, graphScores(graph));
        for (const share of [
          { nodeThreshold, edgeThreshold },
          { nodeThreshold: 1, edgeThreshold: 1 },
        ]) {
          const again = pruneGraph(kept, share);
          const ids = ({ graph: of, edges }: PrunedGraph): string[] =>
            Array.from(edges, (node) => nodeId(of, node));
          expect(ids(again)).toEqual(ids(pruned));
          expect(graphOfPruned(again).edges).toEqual(graphOfPruned(pruned).edges);
        }
        expect(graphScores(kept)).toEqual(graphScores(graph));
        // Influence is that in the whole graph: the links left would say less.
        const influenceOf = (of: Graph): Map<string, number> =>
          new Map(Array.from(of.node_influence, (value, node) => [nodeId(of, node), value]));
        const known = influenceOf(whole);
        const influence = influenceOf(kept);
        for (const [id, value] of influence) expect([id, value]).toEqual([id, known.get(id)]);
        expect(influence.size).toBe(kept.layout.n_nodes);
      }),
    );
  });
});
