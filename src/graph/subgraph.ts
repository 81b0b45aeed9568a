/** Graph, analysis: a graph of some features of another graph. */

import { FEATURE_FIELDS, type Graph } from './graph.ts';
import { nodeInfluence } from './influence.ts';
import { NodeLayout } from './node-layout.ts';
import { EDGE_FIELDS, type PrunedGraph } from './prune.ts';

/**
 * The graph of what pruning kept: dropped features are gone, dropped edges and all edges of dropped errors are zero, and
 * influence is that of the edges left.
 */
export function graphOfPruned({ graph, nodeMask, edges }: PrunedGraph): Graph {
  const features = Int32Array.from({ length: graph.layout.n_features }, (_, node) => node).filter(
    (node) => nodeMask[node] === 1,
  );
  const part = withFeatures(graph, features);
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
export function graphOfPinned(graph: Graph, pinned: Int32Array): Graph {
  return withInfluence(linksOfPinned(graph, pinned));
}

/** As `graphOfPinned`, without the influence of its nodes: all zero. */
export function linksOfPinned(graph: Graph, pinned: Int32Array): Graph {
  const part = withoutScores(withFeatures(graph, pinned));
  const isPinned = new Uint8Array(graph.layout.n_features);
  for (const node of pinned) isPinned[node] = 1;
  const columnOf = columnsOfPart(graph, part.layout, pinned, isPinned);
  for (let row = 0; row < part.layout.n_rows; row++) {
    const logit = row - pinned.length;
    const from = (logit < 0 ? pinned[row]! : graph.layout.n_features + logit) * graph.layout.n_nodes;
    const to = row * part.layout.n_nodes;
    const sums = new Float64Array(part.layout.n_nodes);
    for (let column = 0; column < graph.layout.n_nodes; column++) {
      sums[columnOf[column]!]! += graph.edges[from + column]!;
    }
    part.edges.set(sums, to);
  }
  return part;
}

/** Column of the new graph for each column of the whole graph. */
function columnsOfPart(
  graph: Graph,
  layout: NodeLayout,
  pinned: Int32Array,
  isPinned: Uint8Array,
): Int32Array {
  const gone = graph.layout.n_features - pinned.length;
  let place = 0;
  return Int32Array.from({ length: graph.layout.n_nodes }, (_, node) => {
    if (node >= graph.layout.n_features) return node - gone;
    if (isPinned[node] === 1) return place++;
    const active = graph.selected_features[node]! * FEATURE_FIELDS;
    return layout.errorIndex(graph.active_features[active]!, graph.active_features[active + 1]!);
  });
}

/** A graph of some feature nodes (ascending), with all edges zero. */
function withFeatures(graph: Graph, features: Int32Array): Graph {
  const layout = new NodeLayout({ ...counts(graph.layout), n_features: features.length });
  return {
    ...graph,
    layout,
    edges: new Float32Array(layout.n_rows * layout.n_nodes),
    selected_features: features.map((node) => graph.selected_features[node]!),
    node_influence: new Float32Array(layout.n_nodes),
  };
}

/** What a pruned graph's file says of the whole one is not true of a part of it. */
function withoutScores(graph: Graph): Graph {
  return { ...graph, provenance: { ...graph.provenance, scores: undefined } };
}

function withInfluence(graph: Graph): Graph {
  return { ...graph, node_influence: Float32Array.from(nodeInfluence(graph)) };
}

function counts({ n_features, n_layers, n_pos, n_logits }: NodeLayout) {
  return { n_features, n_layers, n_pos, n_logits };
}
