/**
 * Graph, viewer files: the JSON that circuit-tracer's frontend and Neuronpedia read.
 * Fields: Neuronpedia's public graph schema; values: circuit-tracer, except that node ids are unique.
 */

import { unreachable } from '../errors.ts';
import { parseFeatureId, type FeaturePlace } from './feature-id.ts';
import { edgeWeight, featureOf, type Graph, type JsonValue } from './graph.ts';
import { logitLayer, nodeId } from './nodes.ts';
import { EDGE_FIELDS, type PrunedGraph } from './prune.ts';
import { asciiName, viewerSlug } from './slug.ts';

const SCHEMA_VERSION = 1;
const GENERATOR = 'tracer';
const PROBABILITY_DECIMALS = 3;

export interface ViewerMetadata {
  readonly slug: string;
  readonly scan: string;
  readonly transcoder_list: readonly string[];
  readonly prompt_tokens: readonly string[];
  readonly prompt: string;
  /** Where Neuronpedia has pages of the features, if it has. */
  readonly feature_details?: { readonly neuronpedia_source_set: string } | undefined;
  readonly node_threshold: number;
  readonly schema_version: number;
  readonly info: {
    readonly generator: { readonly name: string; readonly version: string };
    readonly create_time_ms?: number;
  };
  readonly generation_settings: Readonly<Record<string, JsonValue>>;
  readonly pruning_settings: { readonly node_threshold: number; readonly edge_threshold: number };
}

export interface ViewerNode {
  readonly node_id: string;
  /** Layer and feature paired into one number; -1 of errors, the position of tokens, the token id of logits. */
  readonly feature: number;
  readonly layer: string;
  readonly ctx_idx: number;
  readonly feature_type: 'cross layer transcoder' | 'mlp reconstruction error' | 'embedding' | 'logit';
  readonly token_prob: number;
  readonly is_target_logit: boolean;
  readonly run_idx: 0;
  readonly reverse_ctx_idx: 0;
  readonly jsNodeId: string;
  readonly clerp: string;
  /** Cumulative share of influence down to this node; null of logits. */
  readonly influence: number | null;
  readonly activation: number | null;
}

export interface ViewerLink {
  readonly source: string;
  readonly target: string;
  /** Entry of the matrix, not normalised. */
  readonly weight: number;
}

export interface ViewerGraph {
  readonly metadata: ViewerMetadata;
  readonly qParams: {
    readonly pinnedIds: readonly string[];
    readonly supernodes: readonly (readonly string[])[];
    readonly linkType: 'both';
    readonly clickedId: string;
    readonly sg_pos: string;
    /** Positions in the subgraph of `tracer serve`. */
    readonly tracer_positions?: string;
  };
  readonly nodes: readonly ViewerNode[];
  readonly links: readonly ViewerLink[];
}

export interface ViewerOptions {
  readonly slug: string;
  /** Name under which feature pages are looked up; default: the scan of the graph. */
  readonly scan?: string | undefined;
  /** Labels of features by `LAYER_FEATURE`; the others have none. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

/** Layer, feature and position of a node; null if it is not a feature. */
export function placeOfNode({ node_id, feature_type }: ViewerNode): FeaturePlace | null {
  return feature_type === 'cross layer transcoder' ? parseFeatureId(node_id) : null;
}

/** Layer and feature of its features, in the order of nodes: one that is active at several positions is there as often. */
export function featuresOf({
  nodes,
}: Pick<ViewerGraph, 'nodes'>): (readonly [layer: number, feature: number])[] {
  return nodes.flatMap((node) => {
    const place = placeOfNode(node);
    return place ? [[place.layer, place.feature] as const] : [];
  });
}

/** The viewer's form of a pruned graph: kept nodes in node order, kept edges by target, then source. */
export function viewerGraph(pruned: PrunedGraph, options: ViewerOptions): ViewerGraph {
  const { graph, nodeMask, edges } = pruned;
  const ids = Array.from(nodeMask, (kept, node) => (kept === 1 ? nodeId(graph, node) : undefined));
  const nodes = ids.flatMap((id, node) => (id === undefined ? [] : [viewerNode(pruned, node, id, options)]));
  const links: ViewerLink[] = [];
  for (let i = 0; i < edges.length; i += EDGE_FIELDS) {
    const [target, source] = [edges[i]!, edges[i + 1]!];
    links.push({ source: ids[source]!, target: ids[target]!, weight: edgeWeight(graph, target, source) });
  }
  return {
    metadata: metadata(pruned, options),
    qParams: { pinnedIds: [], supernodes: [], linkType: 'both', clickedId: '', sg_pos: '' },
    nodes,
    links,
  };
}

function metadata(
  { graph, nodeThreshold, edgeThreshold }: PrunedGraph,
  options: ViewerOptions,
): ViewerMetadata {
  const { provenance } = graph;
  const created = Date.parse(provenance.created);
  const settings = Object.entries(provenance.options).filter(([, value]) => value !== null);
  return {
    slug: viewerSlug(options.slug),
    scan: asciiName(options.scan ?? provenance.scan),
    transcoder_list: [],
    prompt_tokens: provenance.token_strings,
    prompt: provenance.prompt,
    node_threshold: nodeThreshold,
    schema_version: SCHEMA_VERSION,
    info: {
      generator: { name: GENERATOR, version: provenance.tracer_version },
      ...(Number.isNaN(created) ? {} : { create_time_ms: created }),
    },
    generation_settings: Object.fromEntries(settings),
    pruning_settings: { node_threshold: nodeThreshold, edge_threshold: edgeThreshold },
  };
}

function viewerNode(
  { graph, cumulativeScores }: PrunedGraph,
  index: number,
  id: string,
  { labels = {} }: ViewerOptions,
): ViewerNode {
  const node = graph.layout.describe(index);
  const common = {
    node_id: id,
    token_prob: 0,
    is_target_logit: false,
    run_idx: 0,
    reverse_ctx_idx: 0,
    clerp: '',
    influence: Math.fround(cumulativeScores[index]!), // as the reference prints it
    activation: null,
  } as const;
  switch (node.kind) {
    case 'feature': {
      const { layer, position, feature, activation } = featureOf(graph, index);
      return {
        ...common,
        feature: pairingNumber(layer, feature),
        layer: String(layer),
        ctx_idx: position,
        feature_type: 'cross layer transcoder', // also for per-layer sets: viewers know no other type
        jsNodeId: `${layer}_${feature}-0`,
        clerp: labels[`${layer}_${feature}`] ?? '',
        activation,
      };
    }
    case 'error':
      return {
        ...common,
        feature: -1,
        layer: String(node.layer),
        ctx_idx: node.position,
        feature_type: 'mlp reconstruction error',
        jsNodeId: `${node.layer}_${node.position}-0`,
      };
    case 'token':
      return {
        ...common,
        feature: node.position,
        layer: 'E',
        ctx_idx: node.position,
        feature_type: 'embedding',
        jsNodeId: `E_${graph.input_tokens[node.position]!}-${node.position}`,
      };
    case 'logit':
      return { ...common, ...logitFields(graph, node.logit) };
    default:
      return unreachable(node);
  }
}

function logitFields(graph: Graph, logit: number) {
  const token = graph.logit_token_ids[logit]!;
  const probability = graph.logit_probabilities[logit]!;
  const position = graph.layout.n_pos - 1;
  const label = graph.provenance.logit_labels[logit]!;
  return {
    feature: token,
    layer: String(logitLayer(graph)),
    ctx_idx: position,
    feature_type: 'logit',
    token_prob: probability,
    is_target_logit: logit === 0,
    jsNodeId: `L_${token}-${position}`,
    clerp: `Output "${label}" (p=${probability.toFixed(PROBABILITY_DECIMALS)})`,
    influence: null,
  } as const;
}

/** Cantor's pairing of two numbers into one. */
function pairingNumber(layer: number, feature: number): number {
  return ((layer + feature) * (layer + feature + 1)) / 2 + feature;
}
