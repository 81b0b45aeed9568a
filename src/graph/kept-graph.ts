/** Graph, pruning: what pruning leaves as a graph of its own, smaller by the features that fell out. */
import { FEATURE_FIELDS, type Graph } from './graph.ts';
import { NodeLayout } from './node-layout.ts';
import { EDGE_FIELDS, type PrunedGraph } from './prune.ts';
import type { GraphScores } from './scores.ts';

/**
 * Of features those that were kept, of the other nodes all, and no link but those that were kept. `scores` are those of the whole
 * graph, and so is each node's influence: neither can be found in what is left.
 */
export function keptGraph({ graph, nodeMask, edges }: PrunedGraph, scores: GraphScores): Graph {
  const { layout } = graph;
  const kept = Array.from({ length: layout.n_nodes }, (_, node) => node).filter(
    (node) => node >= layout.n_features || nodeMask[node] === 1,
  );
  const n_features = kept.length - (layout.n_nodes - layout.n_features);
  const small = new NodeLayout({
    n_features,
    n_layers: layout.n_layers,
    n_pos: layout.n_pos,
    n_logits: layout.n_logits,
  });
  const place = new Int32Array(layout.n_nodes).fill(-1);
  kept.forEach((node, i) => (place[node] = i));
  const rowOf = (target: number): number =>
    target < n_features ? target : n_features + target - small.logits.start;
  const weights = new Float32Array(small.n_rows * small.n_nodes);
  for (let i = 0; i < edges.length; i += EDGE_FIELDS) {
    const [target, source] = [edges[i]!, edges[i + 1]!];
    const row = target < layout.n_features ? target : layout.n_features + target - layout.logits.start;
    weights[rowOf(place[target]!) * small.n_nodes + place[source]!] =
      graph.edges[row * layout.n_nodes + source]!;
  }
  const active = kept.slice(0, n_features).map((node) => graph.selected_features[node]!);
  const fieldsOf = (feature: number): Int32Array =>
    graph.active_features.subarray(FEATURE_FIELDS * feature, FEATURE_FIELDS * (feature + 1));
  return {
    ...graph,
    layout: small,
    edges: weights,
    active_features: Int32Array.from(active.flatMap((feature) => [...fieldsOf(feature)])),
    activation_values: Float32Array.from(active, (feature) => graph.activation_values[feature]!),
    selected_features: Int32Array.from(active, (_, i) => i),
    node_influence: Float32Array.from(kept, (node) => graph.node_influence[node]!),
    provenance: { ...graph.provenance, scores },
  };
}
