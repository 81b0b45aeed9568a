import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { graphScores, subgraphScores } from '../../src/graph/scores.ts';
import { nodeId } from '../../src/graph/nodes.ts';
import { viewerGraph } from '../../src/graph/neuronpedia.ts';
import { pruneGraph } from '../../src/graph/prune.ts';
import { connectionsOf } from '../../src/picture/connections.ts';
import { defaultLabel, describeNode, labelsFrom, searchNodes } from '../../src/picture/labels.ts';
import { indexOf, inputsOf, makePicture, outputsOf, rowName } from '../../src/picture/picture.ts';
import { pictureScores, pinnedScores } from '../../src/picture/scores.ts';
import { keepVisible, visibleAt } from '../../src/picture/visible.ts';
import { arbitraryGraph } from '../graph/random-graph.ts';
import { arbitraryViewer, smallViewer, wholeViewer } from './graphs.ts';

const small = makePicture(smallViewer());
const at = (id: string): number => small.indexById.get(id)!;

describe('a picture of a graph', () => {
  it('has embeddings in the lowest row, layers above, logits on top', () => {
    expect(small.nodes.map(({ row }) => row)).toEqual([1, 1, 2, 1, 0, 0, 3]);
    expect([0, 1, 2, 3].map((row) => rowName(small, row))).toEqual(['Emb', 'L0', 'L1', 'Logit']);
  });

  it('lists the links of a node with the strongest first, and each link at both of its ends', () => {
    fc.assert(
      fc.property(arbitraryViewer(), (viewer) => {
        const picture = makePicture(viewer);
        const seen = { in: 0, out: 0 };
        for (const { index } of picture.nodes) {
          const inputs = Array.from(inputsOf(picture, index));
          const outputs = Array.from(outputsOf(picture, index));
          expect(inputs.every((link) => picture.target[link] === index)).toBe(true);
          expect(outputs.every((link) => picture.source[link] === index)).toBe(true);
          for (const links of [inputs, outputs]) {
            const weights = links.map((link) => Math.abs(picture.weight[link]!));
            expect(weights).toEqual([...weights].sort((a, b) => b - a));
          }
          seen.in += inputs.length;
          seen.out += outputs.length;
        }
        expect(seen).toEqual({ in: viewer.links.length, out: viewer.links.length });
      }),
      { numRuns: 50 },
    );
  });

  it('finds an error by the id of either program, and no feature by the id of an error', () => {
    expect(indexOf(small, '0_0_1')).toBe(at('0_error_1'));
    expect(indexOf(small, '5_error_1')).toBeUndefined();
    expect(indexOf(small, '0_5_1')).toBe(at('0_5_1'));
  });

  it('knows a feature by the number that layer and feature are paired into where its id does not say it', () => {
    const viewer = smallViewer();
    const odd = { ...viewer.nodes[0]!, node_id: 'odd', feature: (9 * 10) / 2 + 7, layer: '2' };
    expect(makePicture({ ...viewer, nodes: [odd], links: [] }).nodes[0]!.feature).toBe(7);
  });
});

describe('thresholds of a picture', () => {
  const share = fc.double({ min: 0, max: 1, noNaN: true });

  it('show all of it when they are those of the file', () => {
    fc.assert(
      fc.property(
        arbitraryGraph({ maxFeatures: 12 }),
        share,
        share,
        (graph, nodeThreshold, edgeThreshold) => {
          const pruned = pruneGraph(graph, { nodeThreshold, edgeThreshold });
          const picture = makePicture(viewerGraph(pruned, { slug: 'x' }));
          const { nodeCount, linkCount } = visibleAt(picture, nodeThreshold, edgeThreshold);
          expect([nodeCount, linkCount]).toEqual([picture.nodes.length, picture.linkCount]);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('show a part of what larger ones show, and no link without both of its ends', () => {
    fc.assert(
      fc.property(arbitraryViewer(), share, share, share, share, (viewer, a, b, c, d) => {
        const picture = makePicture(viewer);
        const less = visibleAt(picture, Math.min(a, b), Math.min(c, d));
        const more = visibleAt(picture, Math.max(a, b), Math.max(c, d));
        expect(less.nodes.every((seen, node) => seen <= more.nodes[node]!)).toBe(true);
        expect(less.links.every((seen, link) => seen <= more.links[link]!)).toBe(true);
        less.links.forEach((seen, link) => {
          const ends = less.nodes[picture.source[link]!]! & less.nodes[picture.target[link]!]!;
          expect(seen).toBeLessThanOrEqual(ends);
        });
        for (const { index, kind } of picture.nodes) {
          if (kind === 'embedding' || kind === 'logit') expect(less.nodes[index]).toBe(1);
        }
      }),
      { numRuns: 100 },
    );
  });

  it('keep the nodes that pruning keeps, unless two are of equal influence', () => {
    fc.assert(
      fc.property(arbitraryGraph({ maxFeatures: 12 }), share, (graph, nodeThreshold) => {
        const influences = Array.from(graph.node_influence).filter((influence) => influence > 0);
        fc.pre(new Set(influences).size === influences.length);
        const whole = viewerGraph(pruneGraph(graph, { nodeThreshold: 1, edgeThreshold: 1 }), { slug: 'x' });
        const picture = makePicture(whole);
        const visible = visibleAt(picture, nodeThreshold, 1);
        const pruned = pruneGraph(graph, { nodeThreshold, edgeThreshold: 1 });
        const kept = viewerGraph(pruned, { slug: 'x' }).nodes.map(({ node_id }) => node_id);
        const shown = picture.nodes.filter(({ index }) => visible.nodes[index] === 1).map(({ id }) => id);
        for (const id of kept) if (picture.indexById.has(id)) expect(shown).toContain(id);
      }),
      { numRuns: 100 },
    );
  });

  it('leave what is pinned in sight, with its links to what is seen', () => {
    const hidden = at('0_6_1');
    const visible = visibleAt(small, 0.5, 1);
    expect(visible.nodes[hidden]).toBe(0);
    const kept = keepVisible(small, visible, [hidden]);
    expect(kept.nodes[hidden]).toBe(1);
    expect(kept.linkCount).toBe(visible.linkCount + 2);
    expect(keepVisible(small, visible, [at('0_5_1')])).toBe(visible);
  });

  it('drop what leads nowhere any more', () => {
    const visible = visibleAt(small, 0.45, 1);
    // The error is less important than that; what stays is connected.
    expect(visible.nodes[at('0_error_1')]).toBe(0);
    expect(visible.nodes[at('1_7_1')]).toBe(1);
  });
});

describe('connections of a node', () => {
  it('come strongest first, with their signed share of the inputs of their target', () => {
    const { inputs, outputs } = connectionsOf(small, at('3_40_1'));
    expect(outputs).toEqual([]);
    expect(inputs.map(({ index, weight }) => [index, weight])).toEqual([
      [at('0_5_1'), -4],
      [at('1_7_1'), 4],
      [at('0_6_1'), 2],
    ]);
    expect(inputs.map(({ share }) => share)).toEqual([-0.4, 0.4, 0.2]);
    expect(inputs.map(({ influence }) => influence)).toEqual([0.4, 0.4, 0.2]);
  });

  it('hold all of the influence of a list between them', () => {
    fc.assert(
      fc.property(arbitraryViewer(), (viewer) => {
        const picture = makePicture(viewer);
        for (const { index } of picture.nodes) {
          for (const list of Object.values(connectionsOf(picture, index))) {
            const sum = (list as { influence: number }[]).reduce(
              (total, { influence }) => total + influence,
              0,
            );
            expect(sum === 0 || Math.abs(sum - 1) < 1e-9).toBe(true);
          }
        }
      }),
      { numRuns: 30 },
    );
  });

  it('are only those that are seen, when asked so', () => {
    const visible = visibleAt(small, 0.5, 1);
    expect(connectionsOf(small, at('3_40_1'), visible).inputs).toHaveLength(2);
  });
});

describe('scores of a picture', () => {
  it('are those of the graph when nothing is pruned, whatever is pinned', () => {
    fc.assert(
      fc.property(arbitraryGraph({ maxFeatures: 10 }), fc.infiniteStream(fc.boolean()), (graph, coins) => {
        const picture = makePicture(wholeViewer(graph));
        const whole = graphScores(graph);
        expect(pictureScores(picture).replacement).toBeCloseTo(whole.replacement, 5);
        expect(pictureScores(picture).completeness).toBeCloseTo(whole.completeness, 5);
        const pinned = Array.from({ length: graph.layout.n_features }, (_, node) => node).filter(
          () => coins.next().value as boolean,
        );
        const expected = subgraphScores(graph, pinned);
        const found = pinnedScores(
          picture,
          pinned.map((node) => nodeId(graph, node)),
        );
        expect(found.replacement).toBeCloseTo(expected.replacement, 5);
        expect(found.completeness).toBeCloseTo(expected.completeness, 5);
      }),
      { numRuns: 100 },
    );
  });
});

describe('words about nodes', () => {
  const labelOf = labelsFrom(small, { '1_7_1': 'mine' }, { '0_6': 'of the set', '1_7': 'of the set' });

  it('take a label of the node before one of its feature, and both before the file', () => {
    expect(labelOf(at('1_7_1'))).toBe('mine');
    expect(labelOf(at('0_6_1'))).toBe('of the set');
    expect(labelOf(at('0_5_1'))).toBe('capital <b>&amp;');
    expect(labelOf(at('0_error_1'))).toBe('error 0');
    expect(defaultLabel(small, at('E_9_1'))).toBe('" Dallas"');
  });

  it('tell kind, place and connections', () => {
    expect(describeNode(small, at('1_7_1'), labelOf)).toBe(
      'mine, feature 1/7, at token 1 " Dallas"; activation 1.5; 2 inputs, 1 output',
    );
    expect(describeNode(small, at('3_40_1'))).toMatch(
      /logit " Austin".*probability 0\.5.*3 inputs, 0 outputs/,
    );
  });

  it('are found by every word of a search, whatever its case', () => {
    expect(searchNodes(small, 'CAPITAL dallas', labelOf)).toEqual([at('0_5_1')]);
    expect(searchNodes(small, '1/7', labelOf)).toEqual([at('1_7_1')]);
    expect(searchNodes(small, 'austin', labelOf)).toEqual([at('3_40_1')]);
    expect(searchNodes(small, '  ', labelOf)).toEqual([]);
  });
});
