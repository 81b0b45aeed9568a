/** Graph, viewer files: the arrays of a viewer's file, so that what is computed from a graph file is computed from it too. */
import { parseTokenId } from './feature-id.ts';
import type { Provenance } from './graph.ts';
import { nodeInfluence } from './influence.ts';
import type { GraphOfLinks } from './links.ts';
import { NodeLayout } from './node-layout.ts';
import { placeOfNode, type ViewerGraph, type ViewerNode } from './neuronpedia.ts';
import { SparseLinks, type LinkList } from './sparse-links.ts';

/** More would take gigabytes as a matrix; such a file is no picture that a person reads. */
const MOST_CELLS = 2 ** 27;

export interface GraphOfViewer {
  readonly graph: GraphOfLinks;
  /** `[nodes]` ids in the file; undefined for errors and tokens that it lacks. */
  readonly ids: readonly (string | undefined)[];
  /** Positions whose token id the file does not have, because their embedding was pruned; the graph has 0 there. */
  readonly lostTokens: readonly number[];
}

/** Nodes of a viewer's file in the order of a graph. Null if it has no logits or features, or is too large. */
export function graphOfViewer({ nodes, links, metadata }: ViewerGraph): GraphOfViewer | null {
  const of = (type: ViewerNode['feature_type']): ViewerNode[] =>
    nodes.filter(({ feature_type }) => feature_type === type);
  const logits = of('logit');
  const features = nodes
    .flatMap((node) => {
      const place = placeOfNode(node);
      return place === null ? [] : [{ node, place }];
    })
    .sort(
      ({ place: a }, { place: b }) => a.layer - b.layer || a.position - b.position || a.feature - b.feature,
    );
  if (logits.length === 0 || features.length === 0) return null;
  const inLayers = nodes.filter(({ feature_type }) => !['logit', 'embedding'].includes(feature_type));
  const layout = new NodeLayout({
    n_features: features.length,
    // Logits are drawn two above the last layer, also where pruning left nothing of that.
    n_layers: Math.max(1 + largest(inLayers, layerOf), largest(logits, layerOf) - 1),
    n_pos: Math.max(metadata.prompt_tokens.length, 1 + largest(nodes, ({ ctx_idx }) => ctx_idx)),
    n_logits: logits.length,
  });
  if (layout.n_rows * layout.n_nodes > MOST_CELLS) return null;
  const placeOf = new Map<string, number>();
  features.forEach(({ node }, i) => placeOf.set(node.node_id, i));
  logits.forEach(({ node_id }, i) => placeOf.set(node_id, layout.logits.start + i));
  for (const { node_id, layer, ctx_idx } of of('mlp reconstruction error'))
    placeOf.set(node_id, layout.errorIndex(Number(layer), ctx_idx));
  for (const { node_id, ctx_idx } of of('embedding')) placeOf.set(node_id, layout.tokenIndex(ctx_idx));
  const tokenIds = new Map(of('embedding').map(({ node_id, ctx_idx }) => [ctx_idx, parseTokenId(node_id)]));
  const positions = Array.from({ length: layout.n_pos }, (_, position) => position);
  const ids = new Array<string | undefined>(layout.n_nodes).fill(undefined);
  for (const [id, node] of placeOf) ids[node] = id;
  const graph: GraphOfLinks = {
    layout,
    links: new SparseLinks(layout, linkList(layout, placeOf, links)),
    active_features: Int32Array.from(
      features.flatMap(({ place: { layer, position, feature } }) => [layer, position, feature]),
    ),
    activation_values: Float32Array.from(features, ({ node }) => node.activation ?? 0),
    selected_features: Int32Array.from(features.keys()),
    input_tokens: Int32Array.from(positions, (position) => tokenIds.get(position) ?? 0),
    logit_token_ids: Int32Array.from(logits, ({ node_id, feature }) => parseTokenId(node_id) ?? feature),
    logit_probabilities: Float32Array.from(logits, ({ token_prob }) => token_prob),
    node_influence: new Float32Array(layout.n_nodes),
    provenance: provenanceOf(metadata, layout.n_pos, logits),
  };
  return {
    graph: { ...graph, node_influence: Float32Array.from(nodeInfluence(graph)) },
    ids,
    lostTokens: positions.filter((position) => (tokenIds.get(position) ?? null) === null),
  };
}

function linkList(
  layout: NodeLayout,
  placeOf: ReadonlyMap<string, number>,
  links: ViewerGraph['links'],
): LinkList {
  const [rows, sources] = [new Int32Array(links.length), new Int32Array(links.length)];
  const weights = new Float32Array(links.length);
  let n = 0;
  for (const { source, target, weight } of links) {
    const [from, to] = [placeOf.get(source), placeOf.get(target)];
    const row = to === undefined ? -1 : layout.rowOfNode(to);
    if (from === undefined || row < 0 || !comesBefore(layout, from, row)) continue;
    [rows[n], sources[n], weights[n]] = [row, from, weight];
    n++;
  }
  return { rows: rows.subarray(0, n), sources: sources.subarray(0, n), weights: weights.subarray(0, n) };
}

/** Influence is summed in one pass, from the logits down: a link that goes back is none. */
function comesBefore(layout: NodeLayout, from: number, row: number): boolean {
  return from >= layout.features.stop ? from < layout.logits.start : from < row;
}

function provenanceOf(
  metadata: ViewerGraph['metadata'],
  n_pos: number,
  logits: readonly ViewerNode[],
): Provenance {
  const unknown = { name: '', revision: null, config_sha256: null };
  return {
    tracer_version: metadata.info.generator.version,
    model: unknown,
    transcoders: unknown,
    backend: '',
    device: '',
    dtype: '',
    options: {},
    prompt: metadata.prompt,
    token_strings: Array.from({ length: n_pos }, (_, position) => metadata.prompt_tokens[position] ?? ''),
    logit_labels: logits.map(({ clerp, feature }) => logitToken(clerp) ?? `token ${feature}`),
    vocabulary_size: null,
    scan: metadata.scan,
    created: '',
  };
}

/** The token in `Output " Austin" (p=0.998)`. */
function logitToken(clerp: string): string | undefined {
  return /"([\s\S]*)"/.exec(clerp)?.[1];
}

function layerOf({ layer }: ViewerNode): number {
  return Number(layer);
}

function largest(nodes: readonly ViewerNode[], value: (node: ViewerNode) => number): number {
  return nodes.reduce((most, node) => Math.max(most, value(node)), 0);
}
