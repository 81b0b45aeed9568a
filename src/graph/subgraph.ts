/** Graph, analysis: a graph of some features of another graph. */

import type { Graph, GraphNodes } from './graph.ts';
import { nodeInfluence } from './influence.ts';
import { withMatrix, type GraphOfLinks, type LinkedGraph } from './links.ts';
import { NodeLayout } from './node-layout.ts';
import { PinnedLinks } from './pinned-links.ts';
import { EDGE_FIELDS, type PrunedGraph } from './prune.ts';

/**
 * The graph of what pruning kept: dropped features are gone, dropped edges and all edges of dropped errors are zero, and
 * influence is that of the edges left.
 */
export function graphOfPruned({ graph, nodeMask, edges }: PrunedGraph): Graph {
  const features = Int32Array.from({ length: graph.layout.n_features }, (_, node) => node).filter(
    (node) => nodeMask[node] === 1,
  );
  const nodes = withFeatures(graph, features);
  const part = { ...nodes, edges: new Float32Array(nodes.layout.n_rows * nodes.layout.n_nodes) };
  const placeOf = new Map(Array.from(features, (node, place) => [node, place]));
  const gone = graph.layout.n_features - features.length;
  const place = (node: number): number => placeOf.get(node) ?? node - gone;
  const N = graph.layout.n_nodes;
  for (let i = 0; i < edges.length; i += EDGE_FIELDS) {
    const target = edges[i]!;
    const source = edges[i + 1]!;
    const row = part.layout.rowOfNode(place(target));
    part.edges[row * part.layout.n_nodes + place(source)] =
      graph.edges[graph.layout.rowOfNode(target) * N + source]!;
  }
  return withInfluence(part);
}

/**
 * The graph in which only `pinned` features are features: each other one counts as reconstruction error, and its effects are
 * added to those of the error node of its layer and position. The linear model is the same; only the part that counts as
 * explained differs.
 *
 * @param pinned feature nodes, ascending.
 */
export function graphOfPinned(graph: LinkedGraph, pinned: Int32Array): Graph {
  return withInfluence(withMatrix(linksOfPinned(graph, pinned)));
}

/** As `graphOfPinned`, without a matrix, and without the influence of its nodes: all zero. */
export function linksOfPinned(graph: LinkedGraph, pinned: Int32Array): GraphOfLinks {
  const nodes = withoutScores(withFeatures(graph, pinned));
  return { ...nodes, links: new PinnedLinks(graph, nodes.layout, pinned) };
}

/** The nodes of a graph with some of its features (ascending), without influence. */
function withFeatures(graph: GraphNodes, features: Int32Array): GraphNodes {
  const layout = new NodeLayout({ ...counts(graph.layout), n_features: features.length });
  return {
    layout,
    active_features: graph.active_features,
    activation_values: graph.activation_values,
    selected_features: features.map((node) => graph.selected_features[node]!),
    input_tokens: graph.input_tokens,
    logit_token_ids: graph.logit_token_ids,
    logit_probabilities: graph.logit_probabilities,
    node_influence: new Float32Array(layout.n_nodes),
    provenance: graph.provenance,
  };
}

/** What a pruned graph's file says of the whole one is not true of a part of it. */
function withoutScores(graph: GraphNodes): GraphNodes {
  return { ...graph, provenance: { ...graph.provenance, scores: undefined } };
}

function withInfluence(graph: Graph): Graph {
  return { ...graph, node_influence: Float32Array.from(nodeInfluence(graph)) };
}

function counts({ n_features, n_layers, n_pos, n_logits }: NodeLayout) {
  return { n_features, n_layers, n_pos, n_logits };
}
