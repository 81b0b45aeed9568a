import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { UsageError } from '../../src/errors.ts';
import { diffGraphs } from '../../src/graph/diff.ts';
import type { Graph } from '../../src/graph/graph.ts';
import { mergeGraphs } from '../../src/graph/merge.ts';
import { strongestPaths } from '../../src/graph/paths.ts';
import { pruneGraph } from '../../src/graph/prune.ts';
import { selectAll, selectNodes } from '../../src/graph/select.ts';
import { topFeatures } from '../../src/graph/top.ts';
import { featureTotals } from '../../src/graph/totals.ts';
import { largestDifference, readGolden } from './golden.ts';
import { arbitraryGraph, normalisedMatrix } from './random-graph.ts';

const ROUNDING = 1e-12;

/** Strengths of all paths between two sets, found by walking every one. */
function everyPath(graph: Graph, from: Set<number>, to: Set<number>): number[] {
  const matrix = normalisedMatrix(graph);
  const strengths: number[] = [];
  const walk = (node: number, strength: number): void => {
    matrix[node]!.forEach((share, source) => {
      if (share === 0) return;
      if (from.has(source)) strengths.push(strength * share);
      walk(source, strength * share);
    });
  };
  for (const node of to) walk(node, 1);
  return strengths.sort((a, b) => b - a);
}

const nodeSets = arbitraryGraph().chain((graph) =>
  fc.record({
    graph: fc.constant(graph),
    from: fc.uniqueArray(fc.nat(graph.layout.n_nodes - 1)),
    to: fc.uniqueArray(fc.nat(graph.layout.n_nodes - 1)),
    k: fc.integer({ min: 1, max: 12 }),
  }),
);

describe('strongest paths', () => {
  it('are the k best of all paths that there are', () => {
    fc.assert(
      fc.property(nodeSets, ({ graph, from, to, k }) => {
        const paths = strongestPaths(graph, { from, to, k });
        const expected = everyPath(graph, new Set(from), new Set(to)).slice(0, k);
        expect(paths).toHaveLength(expected.length);
        expect(
          largestDifference(
            paths.map(({ strength }) => strength),
            expected,
          ),
        ).toBeLessThan(ROUNDING);
      }),
    );
  });

  it('come with their nodes from source to target, and shares whose product is their strength', async () => {
    const { graph } = await readGolden('tiny-a', 'graph-plt-jumprelu-p2');
    const from = selectNodes(graph, 'Dallas', 'source');
    const to = selectNodes(graph, ' to', 'target');
    const paths = strongestPaths(graph, { from, to, k: 10 });
    expect(paths).toHaveLength(10);
    for (const { strength, nodes, steps } of paths) {
      expect(nodes.at(0)!.id).toBe('E_546_9');
      expect(nodes.at(-1)!.id).toBe('5_334_10');
      expect(steps).toHaveLength(nodes.length - 1);
      expect(steps.reduce((product, { share }) => product * share, 1)).toBeCloseTo(strength, 12);
    }
    expect(new Set(paths.map(({ nodes }) => nodes.map(({ id }) => id).join())).size).toBe(10);
  });

  it.each([0, 1.5, 1001, NaN])('are refused for k = %p', async (k) => {
    const { graph } = await readGolden('tiny-b', 'graph-clt-p2');
    expect(() => strongestPaths(graph, { from: [0], to: [1], k })).toThrow(UsageError);
  });
});

describe('top features', () => {
  it('are those of most influence, with their tokens', async () => {
    const { graph } = await readGolden('tiny-a', 'graph-plt-jumprelu-p2');
    const top = topFeatures(graph, 5);
    const influences = [...graph.node_influence.subarray(0, graph.layout.n_features)].sort((a, b) => b - a);
    expect(top.map(({ influence }) => influence)).toEqual(influences.slice(0, 5));
    for (const { position, token, layer, feature, id, cumulative_share } of top) {
      expect(token).toBe(graph.provenance.token_strings[position]);
      expect(id).toBe(`${layer}_${feature}_${position}`);
      expect(cumulative_share).toBeLessThan(1);
    }
    expect(topFeatures(graph, 10_000)).toHaveLength(graph.layout.n_features);
  });
});

describe('the difference of two graphs', () => {
  it('puts every feature of either into one list, by what it was and is', async () => {
    const { graph: first } = await readGolden('tiny-a', 'graph-plt-jumprelu-p1');
    const { graph: second } = await readGolden('tiny-a', 'graph-plt-jumprelu-p2');
    const { appeared, vanished, changed, n_common } = diffGraphs(first, second);
    const before = featureTotals(first);
    const after = featureTotals(second);
    expect(vanished.length + n_common).toBe(before.size);
    expect(appeared.length + n_common).toBe(after.size);
    expect(appeared.length).toBeGreaterThan(0);
    expect(changed.length).toBeGreaterThan(0);
    for (const { before: was, after: is, influence_change } of changed) {
      expect(influence_change).toBeCloseTo(is.influence - was.influence, 12);
      expect(was.positions).toHaveLength(was.tokens.length);
    }
  });

  it('is nothing between a graph and itself', () => {
    fc.assert(
      fc.property(arbitraryGraph(), (graph) => {
        expect(diffGraphs(graph, graph)).toMatchObject({ appeared: [], vanished: [], changed: [] });
      }),
    );
  });

  it('keeps the sum of influence of all features', () => {
    fc.assert(
      fc.property(arbitraryGraph({ maxFeatures: 12 }), (graph) => {
        const sum = [...featureTotals(graph).values()].reduce((total, { influence }) => total + influence, 0);
        const features = graph.node_influence.subarray(0, graph.layout.n_features);
        expect(sum).toBeCloseTo(
          features.reduce((total, influence) => total + influence, 0),
          5,
        );
      }),
    );
  });

  it('is refused for different transcoder sets', async () => {
    const { graph: first } = await readGolden('tiny-a', 'graph-plt-jumprelu-p2');
    const { graph: second } = await readGolden('tiny-a', 'graph-clt-p2');
    expect(() => diffGraphs(first, second)).toThrow(/golden-tiny-a\/plt-jumprelu.*golden-tiny-a\/clt/);
  });
});

describe('merged graphs', () => {
  it('of a graph with itself are that graph without positions', async () => {
    const { graph } = await readGolden('tiny-a', 'graph-plt-jumprelu-p2');
    const pruned = pruneGraph(graph);
    const [once, twice] = [mergeGraphs([pruned]), mergeGraphs([pruned, pruned])];
    expect(twice.nodes.map(({ id }) => id)).toEqual(once.nodes.map(({ id }) => id));
    expect(
      largestDifference(
        twice.links.map(({ weight }) => weight),
        once.links.map(({ weight }) => weight),
      ),
    ).toBeLessThan(ROUNDING * 100);
    expect(new Set(once.nodes.map(({ n_graphs }) => n_graphs))).toEqual(new Set([1]));
    expect(new Set(twice.nodes.map(({ n_graphs }) => n_graphs))).toEqual(new Set([2]));
    const total = graph.node_influence.reduce(
      (sum, value, node) => sum + (pruned.nodeMask[node] === 1 ? value : 0),
      0,
    );
    expect(once.nodes.reduce((sum, { influence }) => sum + influence, 0)).toBeCloseTo(total, 5);
  });

  it('of two prompts hold the nodes of both, averaged', async () => {
    const both = await Promise.all(
      ['p1', 'p2'].map((prompt) => readGolden('tiny-a', `graph-plt-jumprelu-${prompt}`)),
    );
    const merged = mergeGraphs(both.map(({ graph }) => pruneGraph(graph)));
    const [first, second] = both.map(
      ({ graph }) => new Map(mergeGraphs([pruneGraph(graph)]).nodes.map((node) => [node.id, node])),
    );
    expect(merged.n_graphs).toBe(2);
    expect(merged.nodes).toHaveLength(new Set([...first!.keys(), ...second!.keys()]).size);
    for (const { id, influence, n_graphs } of merged.nodes) {
      const parts = [first!.get(id), second!.get(id)];
      expect(influence).toBeCloseTo(parts.reduce((sum, part) => sum + (part?.influence ?? 0), 0) / 2, 6);
      expect(n_graphs).toBe(parts.filter((part) => part !== undefined).length);
    }
  });

  it('need at least one graph, and one transcoder set', async () => {
    expect(() => mergeGraphs([])).toThrow(UsageError);
    const mixed = await Promise.all(
      ['clt', 'plt-topk'].map((set) => readGolden('tiny-b', `graph-${set}-p2`)),
    );
    expect(() => mergeGraphs(mixed.map(({ graph }) => pruneGraph(graph)))).toThrow(UsageError);
  });
});

describe('naming nodes', () => {
  it('takes viewer ids, LAYER:POSITION:FEATURE and strings', async () => {
    const { graph } = await readGolden('tiny-a', 'graph-plt-jumprelu-p2');
    const { layout } = graph;
    const [first] = topFeatures(graph, 1);
    const { layer, position, feature, id } = first!;
    const [node] = selectNodes(graph, id);
    expect(selectNodes(graph, `${layer}:${position}:${feature}`)).toEqual([node]);
    expect(selectNodes(graph, `${layer}:*:${feature}`)).toContain(node);
    expect(selectNodes(graph, '1_error_10')).toEqual([layout.errorIndex(1, 10)]);
    expect(selectNodes(graph, 'E_546_9')).toEqual([layout.tokenIndex(9)]);
    expect(selectNodes(graph, '5_334_10')).toEqual([layout.logitIndex(0)]);
    expect(selectNodes(graph, 'Dallas')).toEqual([layout.tokenIndex(9)]);
    expect(selectNodes(graph, ' to')).toEqual([layout.logitIndex(0)]);
    expect(selectNodes(graph, 'to')).toEqual([layout.logitIndex(0)]);
    expect(selectAll(graph, ['5_334_10', 'Dallas', ' to'])).toEqual([
      layout.tokenIndex(9),
      layout.logitIndex(0),
    ]);
  });

  it('looks for sources among tokens and for targets among logits', async () => {
    const { graph } = await readGolden('tiny-a', 'graph-plt-jumprelu-p2');
    expect(selectNodes(graph, ' is', 'source')).toEqual([graph.layout.tokenIndex(10)]);
    expect(selectNodes(graph, ' is', 'target')).toEqual([graph.layout.logitIndex(1)]);
    expect(selectNodes(graph, ' is')).toEqual([graph.layout.tokenIndex(10), graph.layout.logitIndex(1)]);
    expect(() => selectNodes(graph, 'Dallas', 'target')).toThrow(/No target/);
  });

  it('answers a mistyped name with the nearest right one', async () => {
    const { graph } = await readGolden('tiny-a', 'graph-plt-jumprelu-p2');
    const hintOf = (name: string): string | undefined => {
      try {
        selectNodes(graph, name);
      } catch (error) {
        if (error instanceof UsageError) return error.hint;
      }
      return undefined;
    };
    expect(hintOf('Dalas')).toContain('"Dallas"');
    expect(hintOf('E_546_8')).toContain('"E_');
    expect(hintOf('something else entirely')).toContain('LAYER:POSITION:FEATURE');
  });
});
