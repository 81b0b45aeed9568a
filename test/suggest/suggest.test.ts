import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Graph } from '../../src/graph/graph.ts';
import { nodeInfluence } from '../../src/graph/influence.ts';
import { NodeLayout } from '../../src/graph/node-layout.ts';
import { nodeId } from '../../src/graph/nodes.ts';
import { pruneGraph } from '../../src/graph/prune.ts';
import { subgraphScores } from '../../src/graph/scores.ts';
import { selectNodes } from '../../src/graph/select.ts';
import { chooseNodes } from '../../src/suggest/choose.ts';
import { greedyFeatures } from '../../src/suggest/greedy.ts';
import { NOTHING_KNOWN, type Example } from '../../src/suggest/known.ts';
import { circuitOf, type SuggestedCircuit } from '../../src/suggest/suggest.ts';
import { arbitraryGraph } from '../graph/random-graph.ts';

const LIMITS = { maxBoxes: 8, maxNodes: 6 };
const RUNS = 150;
/** Edges are float32. */
const DIGITS = 4;

function suggest(graph: Graph, limits = LIMITS, known = NOTHING_KNOWN): SuggestedCircuit {
  const choice = chooseNodes(pruneGraph(graph, { nodeThreshold: 0.95 }), limits);
  return circuitOf(choice, (node) => nodeId(graph, node), known, limits);
}

describe('a suggested circuit', () => {
  it('keeps its limits, names no two boxes alike, and has each node once', () => {
    fc.assert(
      fc.property(arbitraryGraph({ maxFeatures: 12 }), (graph) => {
        const { boxes, links, n_features, left_out } = suggest(graph);
        expect(boxes.length).toBeLessThanOrEqual(LIMITS.maxBoxes);
        expect(n_features + left_out.n_features).toBeLessThanOrEqual(LIMITS.maxNodes);
        const ids = boxes.flatMap((box) => box.ids);
        expect(new Set(ids).size).toBe(ids.length);
        expect(new Set(boxes.map(({ name }) => name)).size).toBe(boxes.length);
        for (const id of ids) expect(selectNodes(graph, id)).toHaveLength(1);
        for (const { source, target, share } of links) {
          expect(source).not.toBe(target);
          expect(Math.abs(share)).toBeLessThanOrEqual(1 + 1e-6);
        }
      }),
      { numRuns: RUNS },
    );
  });

  it('has the scores of its features in the whole graph, and is the same each time', () => {
    fc.assert(
      fc.property(arbitraryGraph({ maxFeatures: 12 }), (graph) => {
        const circuit = suggest(graph);
        const features = circuit.boxes.flatMap(({ kind, ids }) =>
          kind === 'feature' ? ids.flatMap((id) => selectNodes(graph, id)) : [],
        );
        const { replacement, completeness } = subgraphScores(graph, features);
        expect(circuit.scores.replacement).toBeCloseTo(replacement, DIGITS);
        expect(circuit.scores.completeness).toBeCloseTo(completeness, DIGITS);
        expect(suggest(graph)).toEqual(circuit);
      }),
      { numRuns: RUNS },
    );
  });
});

describe('the greedy choice', () => {
  it('takes what a search through all features takes', () => {
    fc.assert(
      fc.property(arbitraryGraph({ maxFeatures: 8 }), fc.integer({ min: 1, max: 4 }), (graph, count) => {
        const taken: number[] = [];
        while (taken.length < Math.min(count, graph.layout.n_features)) {
          const left = Array.from({ length: graph.layout.n_features }, (_, node) => node).filter(
            (node) => !taken.includes(node),
          );
          const score = (node: number): number => subgraphScores(graph, [...taken, node]).completeness;
          taken.push(left.reduce((best, node) => (score(node) > score(best) ? node : best)));
        }
        const found = subgraphScores(graph, greedyFeatures(graph, count)).completeness;
        expect(found).toBeCloseTo(subgraphScores(graph, taken).completeness, 2);
      }),
      { numRuns: RUNS },
    );
  });
});

describe('groups', () => {
  it('are features with the same links', () => {
    const { boxes } = suggest(planted());
    const groups = boxes.filter(({ kind }) => kind === 'feature').map(({ ids }) => [...ids].sort());
    expect(groups).toEqual([
      ['0_1_1', '0_2_1'],
      ['0_3_1', '0_4_1'],
    ]);
    const [first] = boxes.filter(({ kind }) => kind === 'feature');
    expect(first!.why!.links_in).toBeGreaterThan(0.9);
    expect(first!.why!.links_out).toBeGreaterThan(0.9);
  });

  it('of other positions are one box where their labels say the same', () => {
    const graph = planted([1, 1, 1, 2]);
    const apart = suggest(graph).boxes.map(({ ids }) => ids.join());
    expect(apart).toContain('0_4_2');
    const labels = { '0_3': 'Texas and its cities', '0_4': 'what comes before Texas and its cities' };
    const { boxes } = suggest(graph, LIMITS, {
      ...NOTHING_KNOWN,
      labels: { ...labels, '0_1': 'numbers', '0_2': 'small numbers' },
    });
    expect(boxes.map(({ ids }) => [...ids].sort().join())).toContain('0_3_1,0_4_2');
  });

  it('without a label are called after what they read or say', () => {
    const names = suggest(planted()).boxes.map(({ name, kind }) => `${kind} ${name}`);
    expect(names).toEqual([
      'token Dallas',
      'token is',
      'feature reads Dallas',
      'feature at Dallas',
      'logit Austin',
    ]);
  });

  it('are called after a word that their examples share, if it is none of the prompt', () => {
    const about = (word: string): Example[] =>
      ['Waco', 'Austin', 'Dallas'].map((city) => ({
        tokens: [city, ' lies', ` in ${word}`],
        activations: [1, 0, 0],
        peak: 0,
      }));
    const others = Array.from({ length: 20 }, (_, i) => ({
      tokens: [`word${i} lies in`],
      activations: [1],
      peak: 0,
    }));
    const names = (word: string): string[] => {
      const examples = { '0_1': about(word), '0_2': about(word), '0_3': others };
      return suggest(planted(), LIMITS, { labels: {}, examples }).boxes.map(({ name }) => name);
    };
    expect(names('Texas')).toContain('Texas (reads Dallas)');
    for (const known of ['Austin', 'Dallas']) {
      const added = names(known).flatMap((name) => /^(.*) \(/.exec(name)?.[1]?.split(', ') ?? []);
      expect(added.length).toBeGreaterThan(0);
      expect(added).not.toContain(known);
    }
  });

  it('say what comes next at the last position, and are before it elsewhere', () => {
    const labels = Object.fromEntries(
      ['0_1', '0_2', '0_3', '0_4'].map((key) => [key, 'what comes before states']),
    );
    const names = (position: number): string[] =>
      suggest(planted([position, position, position, position]), LIMITS, { ...NOTHING_KNOWN, labels })
        .boxes.filter(({ kind }) => kind === 'feature')
        .map(({ name }) => name);
    expect(names(1)).toEqual(['before states', 'before states (2)']);
    expect(names(2)).toEqual(['say states', 'say states (2)']);
  });
});

/** Two pairs of features: one reads `Dallas` and speaks for the answer, the other reads ` is` and speaks against it. */
function planted(positions: readonly number[] = [1, 1, 1, 1]): Graph {
  const layout = new NodeLayout({ n_features: 4, n_layers: 1, n_pos: 3, n_logits: 1 });
  const edges = new Float32Array(layout.n_rows * layout.n_nodes);
  const put = (row: number, column: number, weight: number): void => {
    edges[row * layout.n_nodes + column] = weight;
  };
  const [dallas, is] = [layout.tokenIndex(1), layout.tokenIndex(2)];
  [dallas, dallas, is, is].forEach((token, row) => {
    put(row, token, 2 + row / 10);
    put(row, layout.errorIndex(0, 1), 0.1);
    put(layout.n_features, row, row < 2 ? 3 : -2);
  });
  const graph: Graph = {
    layout,
    edges,
    active_features: Int32Array.from(positions.flatMap((position, i) => [0, position, i + 1])),
    activation_values: new Float32Array(4).fill(1),
    selected_features: Int32Array.from([0, 1, 2, 3]),
    input_tokens: Int32Array.from([2, 5, 6]),
    logit_token_ids: Int32Array.from([7]),
    logit_probabilities: Float32Array.from([0.9]),
    node_influence: new Float32Array(layout.n_nodes),
    provenance: {
      tracer_version: '0',
      model: { name: '', revision: null, config_sha256: null },
      transcoders: { name: '', revision: null, config_sha256: null },
      backend: '',
      device: '',
      dtype: '',
      options: {},
      prompt: '<bos> Dallas is',
      token_strings: ['<bos>', ' Dallas', ' is'],
      logit_labels: [' Austin'],
      vocabulary_size: null,
      scan: '',
      created: '',
    },
  };
  return { ...graph, node_influence: Float32Array.from(nodeInfluence(graph)) };
}
