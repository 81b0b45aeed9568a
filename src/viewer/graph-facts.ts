/** Viewer: what a job has to know of a graph, for graph files and viewer files alike. */
import type { AblatedFeature, AblationTarget } from '../engine/validate/ablate.ts';
import { unreachable, UsageError } from '../errors.ts';
import { featureId, parseFeatureId, parseTokenId, type FeaturePlace } from '../graph/feature-id.ts';
import { edgeWeight, featureOf, type Graph } from '../graph/graph.ts';
import type { ViewerGraph, ViewerNode } from '../graph/neuronpedia.ts';
import { nodeId } from '../graph/nodes.ts';
import type { OpenGraph } from './graph-cache.ts';

export interface GraphFacts {
  /** Token ids of the prompt. Throws `UsageError` if the file lacks some. */
  tokens(): readonly number[];
  /** A feature of the graph. Throws `UsageError` if it is not in the graph; so do the others. */
  feature(place: FeaturePlace): AblatedFeature;
  source(id: string): AblatedFeature;
  target(id: string): AblationTarget;
  weight(source: string, target: string): number;
  /** Token ids of the logits, the first one first. Throws `UsageError` if the file lacks them. */
  logits(): readonly number[];
}

export function graphFacts(open: OpenGraph): GraphFacts {
  return open.kind === 'graph' ? factsOfGraph(open.graph) : factsOfViewer(open.viewer);
}

function factsOfGraph(graph: Graph): GraphFacts {
  const { layout } = graph;
  const nodes = new Map(Array.from({ length: layout.n_nodes }, (_, node) => [nodeId(graph, node), node]));
  const find = (id: string): number => nodes.get(id) ?? unknownNode(id);
  const feature = (id: string): AblatedFeature => {
    const node = find(id);
    return node < layout.n_features ? { id, ...featureOf(graph, node) } : noFeature(id);
  };
  return {
    tokens: () => Array.from(graph.input_tokens),
    feature: (place) => feature(featureId(place)),
    source: feature,
    target: (id) => {
      const node = find(id);
      if (node < layout.n_features) return { kind: 'feature', ...featureOf(graph, node) };
      const logit = node - layout.logits.start;
      return logit < 0 ? noTarget(id) : { kind: 'logit', token_id: graph.logit_token_ids[logit]! };
    },
    weight: (source, target) => edgeWeight(graph, find(target), find(source)),
    logits: () => Array.from(graph.logit_token_ids),
  };
}

function factsOfViewer({ nodes, links, metadata }: ViewerGraph): GraphFacts {
  const byId = new Map(nodes.map((node) => [node.node_id, node]));
  const find = (id: string): ViewerNode => byId.get(id) ?? unknownNode(id);
  const feature = (id: string): AblatedFeature => {
    const { feature_type, activation } = find(id);
    return feature_type === 'cross layer transcoder' ? { id, activation, ...placeOf(id) } : noFeature(id);
  };
  return {
    tokens: () => {
      const ids = new Map(
        nodes
          .filter(({ feature_type }) => feature_type === 'embedding')
          .map(({ node_id, ctx_idx }) => [ctx_idx, tokenOf(node_id)]),
      );
      return metadata.prompt_tokens.map((_, position) => ids.get(position) ?? lostToken(position));
    },
    feature: (place) => feature(featureId(place)),
    source: feature,
    target: (id) => {
      const { feature_type } = find(id);
      switch (feature_type) {
        case 'cross layer transcoder':
          return { kind: 'feature', ...placeOf(id) };
        case 'logit':
          return { kind: 'logit', token_id: tokenOf(id) };
        case 'embedding':
        case 'mlp reconstruction error':
          return noTarget(id);
        default:
          return unreachable(feature_type);
      }
    },
    weight: (source, target) => {
      const link = links.find((one) => one.source === source && one.target === target);
      if (link !== undefined) return link.weight;
      throw new UsageError({
        code: 'unknown_link',
        message: `there is no link from ${JSON.stringify(source)} to ${JSON.stringify(target)}`,
        hint: 'Choose two nodes with a link.',
      });
    },
    logits: () =>
      nodes.filter(({ feature_type }) => feature_type === 'logit').map(({ node_id }) => tokenOf(node_id)),
  };
}

function placeOf(id: string): FeaturePlace {
  return parseFeatureId(id) ?? unknownNode(id);
}

function tokenOf(id: string): number {
  return parseTokenId(id) ?? unknownNode(id);
}

function unknownNode(id: string): never {
  throw new UsageError({
    code: 'unknown_node',
    message: `this graph has no node ${JSON.stringify(id)}`,
    hint: 'Node ids are those of the graph as it was opened.',
  });
}

function noFeature(id: string): never {
  throw new UsageError({
    code: 'not_a_feature',
    message: `${JSON.stringify(id)} is not a feature: only features can be steered and ablated`,
    hint: 'Choose a feature.',
  });
}

function noTarget(id: string): never {
  throw new UsageError({
    code: 'not_a_target',
    message: `${JSON.stringify(id)} has no inputs: only features and logits are targets`,
    hint: 'Choose a feature or a logit.',
  });
}

function lostToken(position: number): never {
  throw new UsageError({
    code: 'unknown_token',
    message: `the file does not have the token id of position ${position}`,
    hint: 'Trace the prompt again.',
  });
}
