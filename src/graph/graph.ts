/** Graph, data: an attribution graph as plain arrays. Attribution makes it, everything in this room reads it. */

import { NodeLayout } from './node-layout.ts';

/** Where a graph came from. Written into its file as JSON; keys are those that scripts read. */
export interface Provenance {
  readonly tracer_version: string;
  readonly model: SourceReference;
  readonly transcoders: SourceReference;
  readonly backend: string;
  readonly device: string;
  readonly dtype: string;
  /** The options of the attribution as given and defaulted, by their flag names with underscores. */
  readonly options: Readonly<Record<string, JsonValue>>;
  /** The prompt as decoded from the input tokens, special tokens included. */
  readonly prompt: string;
  /** One readable string a token, `[n_pos]`. */
  readonly token_strings: readonly string[];
  /** Labels of the logit targets, `[n_logits]`: the string of the token, or the label of a custom direction. */
  readonly logit_labels: readonly string[];
  /** Ids of custom directions start here; null if it is not known. */
  readonly vocabulary_size: number | null;
  /** Repository of the transcoder set, under which viewers look up feature pages. */
  readonly scan: string;
  /** ISO 8601. */
  readonly created: string;
  /** Of the whole graph, where the file holds what pruning left of it. */
  readonly scores?: { readonly replacement: number; readonly completeness: number } | undefined;
}

/** Identifies a model or a transcoder set by its revision on the Hub or by the hash of its local configuration. */
export interface SourceReference {
  /** Hub id, preset or folder name. */
  readonly name: string;
  readonly revision: string | null;
  /** sha256 of the configuration file, for local folders. */
  readonly config_sha256: string | null;
  /** The files that weights were read from: paths inside the repository or folder, addresses. Older graphs do not say. */
  readonly weight_files?: readonly string[] | undefined;
}

export type JsonValue =
  string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/** All of a graph but its links. Arrays are row-major; `k` selected of `n` active features, N nodes (see `NodeLayout`). */
export interface GraphNodes {
  readonly layout: NodeLayout;
  /** `[n, 3]` (layer, position, feature), sorted in that order; those left out included. */
  readonly active_features: Int32Array;
  /** `[n]` */
  readonly activation_values: Float32Array;
  /** `[k]` ascending indices into `active_features`. */
  readonly selected_features: Int32Array;
  /** `[n_pos]` */
  readonly input_tokens: Int32Array;
  /** `[n_logits]`; a custom direction has vocabulary size + its index. */
  readonly logit_token_ids: Int32Array;
  /** `[n_logits]`, not renormalised. */
  readonly logit_probabilities: Float32Array;
  /** `[N]`, see `nodeInfluence`. */
  readonly node_influence: Float32Array;
  readonly provenance: Provenance;
}

/** An attribution graph with its links as a matrix. */
export interface Graph extends GraphNodes {
  /** Direct effects, `[k + n_logits, N]`: rows are targets (features, then logits), columns are sources. */
  readonly edges: Float32Array;
}

/** A selected feature with its layer, position and index. */
export interface FeatureOfGraph {
  readonly layer: number;
  readonly position: number;
  readonly feature: number;
  readonly activation: number;
}

/** Numbers in a row of `active_features`. */
export const FEATURE_FIELDS = 3;

/** The feature of a feature node (index below k). */
export function featureOf(graph: GraphNodes, node: number): FeatureOfGraph {
  const active = graph.selected_features[graph.layout.featureIndex(node)]!;
  return {
    layer: graph.active_features[active * FEATURE_FIELDS]!,
    position: graph.active_features[active * FEATURE_FIELDS + 1]!,
    feature: graph.active_features[active * FEATURE_FIELDS + 2]!,
    activation: graph.activation_values[active]!,
  };
}

/** The stored row of a target node, as a view; `undefined` for errors and tokens, whose rows are zero. */
export function rowOf(graph: Graph, node: number): Float32Array | undefined {
  const row = graph.layout.rowOfNode(node);
  const columns = graph.layout.n_nodes;
  return row < 0 ? undefined : graph.edges.subarray(row * columns, (row + 1) * columns);
}

/** Direct effect of `source` on `target`, both node indices; zero where no row is stored. */
export function edgeWeight(graph: Graph, target: number, source: number): number {
  const row = graph.layout.rowOfNode(target);
  return row < 0 ? 0 : graph.edges[row * graph.layout.n_nodes + source]!;
}
