/** Graph, nodes: the ids that viewers and commands use, and the fields that commands print. */

import { unreachable } from '../errors.ts';
import { featureId } from './feature-id.ts';
import { featureOf, type Graph } from './graph.ts';
import type { NodeKind } from './node-layout.ts';

/** A node as commands print it. What does not apply is null. */
export interface NodeResult {
  /** Unique in its graph. */
  readonly id: string;
  readonly kind: NodeKind;
  readonly layer: number | null;
  readonly position: number;
  readonly feature: number | null;
  /** The token at its position; of a logit, the token or direction it stands for. */
  readonly token: string;
  readonly token_id: number | null;
  readonly activation: number | null;
  /** Of a logit. */
  readonly probability: number | null;
  readonly influence: number;
}

/**
 * `20_15589_10` (layer, feature, position), `20_error_10`, `E_26865_9` (token id, position) and `27_22605_10` (a logit: two
 * above the last layer, token id, last position): the ids of circuit-tracer's viewer files, except that errors have a
 * word where features have a number, since otherwise they could be mistaken for a feature of layer 0.
 */
export function nodeId(graph: Graph, index: number): string {
  const node = graph.layout.describe(index);
  switch (node.kind) {
    case 'feature': {
      const { layer, feature, position } = featureOf(graph, index);
      return featureId({ layer, feature, position });
    }
    case 'error':
      return `${node.layer}_error_${node.position}`;
    case 'token':
      return `E_${graph.input_tokens[node.position]!}_${node.position}`;
    case 'logit':
      return `${logitLayer(graph)}_${graph.logit_token_ids[node.logit]!}_${graph.layout.n_pos - 1}`;
    default:
      return unreachable(node);
  }
}

/** The layer number that viewers show logits at. */
export function logitLayer(graph: Graph): number {
  return graph.layout.n_layers + 1;
}

/** The fields of a node that commands print. */
export function nodeResult(graph: Graph, index: number): NodeResult {
  const node = graph.layout.describe(index);
  const { token_strings, logit_labels } = graph.provenance;
  const unknown = { feature: null, token_id: null, activation: null, probability: null };
  const common = {
    ...unknown,
    id: nodeId(graph, index),
    kind: node.kind,
    influence: graph.node_influence[index]!,
  };
  switch (node.kind) {
    case 'feature': {
      const { layer, position, feature, activation } = featureOf(graph, index);
      return { ...common, layer, position, feature, activation, token: token_strings[position]! };
    }
    case 'error':
      return { ...common, layer: node.layer, position: node.position, token: token_strings[node.position]! };
    case 'token':
      return {
        ...common,
        layer: null,
        position: node.position,
        token: token_strings[node.position]!,
        token_id: graph.input_tokens[node.position]!,
      };
    case 'logit':
      return {
        ...common,
        layer: null,
        position: graph.layout.n_pos - 1,
        token: logit_labels[node.logit]!,
        token_id: graph.logit_token_ids[node.logit]!,
        probability: graph.logit_probabilities[node.logit]!,
      };
    default:
      return unreachable(node);
  }
}
