/** Viewer graphs for the tests of pictures: random ones, crowded ones, and a small one written by hand. */
import fc from 'fast-check';
import type { ViewerGraph, ViewerLink, ViewerNode } from '../../src/graph/neuronpedia.ts';
import { viewerGraph } from '../../src/graph/neuronpedia.ts';
import { edgeWeight, type Graph } from '../../src/graph/graph.ts';
import { pruneGraph } from '../../src/graph/prune.ts';
import { arbitraryGraph } from '../graph/random-graph.ts';

/** As attribution makes them, nothing pruned. */
export function arbitraryViewer(): fc.Arbitrary<ViewerGraph> {
  return arbitraryGraph({ maxFeatures: 12 }).map((graph) =>
    viewerGraph(pruneGraph(graph, { nodeThreshold: 1, edgeThreshold: 1 }), { slug: 'random' }),
  );
}

/** All nodes and all edges, dead ends included, which pruning would drop. */
export function wholeViewer(graph: Graph): ViewerGraph {
  const { layout } = graph;
  const edges: number[] = [];
  for (let target = 0; target < layout.n_nodes; target++) {
    for (let source = 0; source < layout.n_nodes; source++) {
      if (edgeWeight(graph, target, source) !== 0) edges.push(target, source);
    }
  }
  const all = {
    graph,
    nodeThreshold: 1,
    edgeThreshold: 1,
    nodeMask: new Uint8Array(layout.n_nodes).fill(1),
    edges: Int32Array.from(edges),
    cumulativeScores: new Float64Array(layout.n_nodes),
  };
  return viewerGraph(all, { slug: 'whole' });
}

/** Up to 200 nodes on few cells, without links. */
export function arbitraryCrowd(): fc.Arbitrary<ViewerGraph> {
  return fc
    .record({ layers: fc.integer({ min: 1, max: 40 }), tokens: fc.integer({ min: 1, max: 12 }) })
    .chain(({ layers, tokens }) =>
      fc
        .array(fc.tuple(fc.nat(layers - 1), fc.nat(tokens - 1), fc.boolean()), { maxLength: 200 })
        .map((places) =>
          viewer(
            Array.from({ length: tokens }, (_, i) => `t${i}`),
            places.map(([layer, position, isError], i) =>
              isError
                ? node(`${layer}_error_${position}_${i}`, layer, position)
                : feature(layer, i, position),
            ),
            [],
          ),
        ),
    );
}

export function feature(
  layer: number,
  number: number,
  position: number,
  more: Partial<ViewerNode> = {},
): ViewerNode {
  return {
    ...node(`${layer}_${number}_${position}`, layer, position),
    feature_type: 'cross layer transcoder',
    activation: 1.5,
    ...more,
  };
}

export function node(
  id: string,
  layer: number | 'E',
  position: number,
  more: Partial<ViewerNode> = {},
): ViewerNode {
  return {
    node_id: id,
    feature: -1,
    layer: String(layer),
    ctx_idx: position,
    feature_type: 'mlp reconstruction error',
    token_prob: 0,
    is_target_logit: false,
    run_idx: 0,
    reverse_ctx_idx: 0,
    jsNodeId: '',
    clerp: '',
    influence: 0.5,
    activation: null,
    ...more,
  };
}

export function viewer(
  tokens: string[],
  nodes: ViewerNode[],
  links: ViewerLink[],
  threshold = 1,
): ViewerGraph {
  return {
    metadata: {
      slug: 'made',
      scan: 'owner-set',
      transcoder_list: [],
      prompt_tokens: tokens,
      prompt: tokens.join(''),
      node_threshold: threshold,
      schema_version: 1,
      info: { generator: { name: 'test', version: '0' } },
      generation_settings: {},
      pruning_settings: { node_threshold: threshold, edge_threshold: threshold },
    },
    qParams: { pinnedIds: [], supernodes: [], linkType: 'both', clickedId: '', sg_pos: '' },
    nodes,
    links,
  };
}

/**
 * Two tokens, two layers: E0 → A (2), E1 → A (−1), A → B (3), error → B (1), B → logit (4), A → logit (−4), E1 → C (1),
 * C → logit (2). A and C are of layer 0, B of layer 1.
 */
export function smallViewer(): ViewerGraph {
  const link = (source: string, target: string, weight: number): ViewerLink => ({ source, target, weight });
  const token = (id: number, position: number) =>
    node(`E_${id}_${position}`, 'E', position, { feature_type: 'embedding', influence: 0.4 + position / 10 });
  return viewer(
    ['<bos>', ' Dallas'],
    [
      feature(0, 5, 1, { influence: 0.2, clerp: 'capital <b>&amp;' }),
      feature(0, 6, 1, { influence: 0.9 }),
      feature(1, 7, 1, { influence: 0.3 }),
      node('0_error_1', 0, 1, { influence: 0.7 }),
      token(2, 0),
      token(9, 1),
      node('3_40_1', 3, 1, {
        feature_type: 'logit',
        token_prob: 0.5,
        is_target_logit: true,
        influence: null,
        clerp: 'Output " Austin" (p=0.500)',
      }),
    ],
    [
      link('E_2_0', '0_5_1', 2),
      link('E_9_1', '0_5_1', -1),
      link('0_5_1', '1_7_1', 3),
      link('0_error_1', '1_7_1', 1),
      link('1_7_1', '3_40_1', 4),
      link('0_5_1', '3_40_1', -4),
      link('E_9_1', '0_6_1', 1),
      link('0_6_1', '3_40_1', 2),
    ],
  );
}
