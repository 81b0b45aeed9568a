/** Random attribution graphs for property tests: layered, so without cycles, and as sparse as real ones. */
import fc from 'fast-check';
import { FEATURE_FIELDS, type Graph } from '../../src/graph/graph.ts';
import { nodeInfluence } from '../../src/graph/influence.ts';
import { NodeLayout } from '../../src/graph/node-layout.ts';

export interface GraphShape {
  readonly maxLayers?: number;
  readonly maxPositions?: number;
  readonly maxFeatures?: number;
}

const LARGEST_FEATURE = 50;

/** Half of the edges are zero; the others are float32 numbers of either sign. */
const weight = fc.oneof(
  fc.constant(0),
  fc.float({ min: -4, max: 4, noNaN: true }).filter((value) => value === 0 || Math.abs(value) > 1e-3),
);

export function arbitraryGraph(shape: GraphShape = {}): fc.Arbitrary<Graph> {
  const { maxLayers = 4, maxPositions = 3, maxFeatures = 7 } = shape;
  return fc
    .record({
      n_layers: fc.integer({ min: 1, max: maxLayers }),
      n_pos: fc.integer({ min: 1, max: maxPositions }),
      n_logits: fc.integer({ min: 1, max: 3 }),
    })
    .chain((counts) =>
      fc
        .uniqueArray(
          fc.tuple(
            fc.nat(counts.n_layers - 1),
            fc.nat(counts.n_pos - 1),
            fc.nat(LARGEST_FEATURE),
            fc.boolean(),
          ),
          { maxLength: maxFeatures, selector: (row) => row.slice(0, FEATURE_FIELDS).join() },
        )
        .chain((features) => withEdges(counts, features)),
    );
}

type Counts = { n_layers: number; n_pos: number; n_logits: number };
type Feature = [layer: number, position: number, feature: number, selected: boolean];

function withEdges(counts: Counts, features: Feature[]): fc.Arbitrary<Graph> {
  const sorted = [...features].sort((a, b) => a[0] - b[0] || a[1] - b[1] || a[2] - b[2]);
  const selected = [...sorted.keys()].filter((i) => sorted[i]![3]);
  const layout = new NodeLayout({ ...counts, n_features: selected.length });
  const size = layout.n_rows * layout.n_nodes;
  return fc
    .record({
      weights: fc.array(weight, { minLength: size, maxLength: size }),
      probabilities: fc.array(fc.float({ min: Math.fround(0.01), max: 1, noNaN: true }), {
        minLength: counts.n_logits,
        maxLength: counts.n_logits,
      }),
      tokens: fc.array(fc.string(), { minLength: counts.n_pos, maxLength: counts.n_pos }),
      labels: fc.array(fc.string(), { minLength: counts.n_logits, maxLength: counts.n_logits }),
    })
    .map(({ weights, probabilities, tokens, labels }) => {
      const layerOf = (node: number): number => sorted[selected[node]!]![0];
      const edges = Float32Array.from(weights, (value, i) => {
        const row = Math.floor(i / layout.n_nodes);
        const column = i % layout.n_nodes;
        const isFeature = column < layout.n_features;
        const below = isFeature && (row >= layout.n_features || layerOf(column) < layerOf(row));
        return below || (!isFeature && column < layout.logits.start) ? value : 0;
      });
      const graph: Graph = {
        layout,
        edges,
        active_features: Int32Array.from(sorted.flatMap((row) => row.slice(0, FEATURE_FIELDS) as number[])),
        activation_values: Float32Array.from(sorted, (_, i) => i + 0.5),
        selected_features: Int32Array.from(selected),
        input_tokens: Int32Array.from({ length: counts.n_pos }, (_, i) => i + 100),
        logit_token_ids: Int32Array.from({ length: counts.n_logits }, (_, i) => i + 200),
        logit_probabilities: Float32Array.from(probabilities),
        node_influence: new Float32Array(layout.n_nodes),
        provenance: {
          tracer_version: '1.2.3',
          model: { name: 'owner/model', revision: 'abc', config_sha256: null },
          transcoders: { name: 'owner/set', revision: 'def', config_sha256: null },
          backend: 'tensorflow',
          device: 'cpu',
          dtype: 'float32',
          options: { max_feature_nodes: 7500, batch_size: 512, target_tokens: null },
          prompt: tokens.join(''),
          token_strings: tokens,
          logit_labels: labels,
          vocabulary_size: 1000,
          scan: 'owner/set',
          created: '2026-01-02T03:04:05.000Z',
        },
      };
      return { ...graph, node_influence: Float32Array.from(nodeInfluence(graph)) };
    });
}

/** |A| of the full matrix with rows divided by their sums, `[N][N]`: the definition, entry by entry. */
export function normalisedMatrix({ layout, edges }: Graph): number[][] {
  const N = layout.n_nodes;
  return Array.from({ length: N }, (_, node) => {
    const row = layout.rowOfNode(node);
    const values = Array.from({ length: N }, (_, column) =>
      row < 0 ? 0 : Math.abs(edges[row * N + column]!),
    );
    const sum = Math.max(
      values.reduce((a, b) => a + b, 0),
      1e-10,
    );
    return values.map((value) => value / sum);
  });
}

/** w·M + w·M² + … as the definition has it. */
export function powerSeries(graph: Graph): number[] {
  const matrix = normalisedMatrix(graph);
  const N = matrix.length;
  let term = Array.from({ length: N }, (_, node) =>
    node < graph.layout.logits.start ? 0 : graph.logit_probabilities[node - graph.layout.logits.start]!,
  );
  const sum = new Array<number>(N).fill(0);
  while (term.some((value) => value !== 0)) {
    term = Array.from({ length: N }, (_, source) =>
      matrix.reduce((total, row, target) => total + term[target]! * row[source]!, 0),
    );
    term.forEach((value, i) => (sum[i]! += value));
  }
  return sum;
}
