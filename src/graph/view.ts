/** Graph, export: named nodes and weighted links of a pruned or merged graph. */

import { unreachable } from '../errors.ts';
import { edgeWeight } from './graph.ts';
import { nodeResult, type NodeResult } from './nodes.ts';
import { EDGE_FIELDS, type PrunedGraph } from './prune.ts';
import type { NodeKind } from './node-layout.ts';

export interface ViewNode {
  /** Unique in its view. */
  readonly id: string;
  readonly kind: NodeKind;
  /** Readable label. */
  readonly label: string;
  readonly layer: number | null;
  /** Null where positions were merged. */
  readonly position: number | null;
  readonly feature: number | null;
  readonly token: string | null;
  readonly activation: number | null;
  readonly probability: number | null;
  readonly influence: number;
}

export interface ViewLink {
  readonly source: string;
  readonly target: string;
  readonly weight: number;
}

export interface GraphView {
  readonly nodes: readonly ViewNode[];
  readonly links: readonly ViewLink[];
}

/** Kept nodes in node order, kept edges by target, then source. */
export function viewOf({ graph, nodeMask, edges }: PrunedGraph): GraphView {
  const results = Array.from(nodeMask, (kept, node) => (kept === 1 ? nodeResult(graph, node) : undefined));
  const links: ViewLink[] = [];
  for (let i = 0; i < edges.length; i += EDGE_FIELDS) {
    const [target, source] = [edges[i]!, edges[i + 1]!];
    links.push({
      source: results[source]!.id,
      target: results[target]!.id,
      weight: edgeWeight(graph, target, source),
    });
  }
  return { nodes: results.flatMap((node) => (node === undefined ? [] : [viewNode(node)])), links };
}

function viewNode(node: NodeResult): ViewNode {
  const { id, kind, layer, position, feature, token, activation, probability, influence } = node;
  const label = `${nodeLabel(node)} @${position}`;
  return { id, kind, label, layer, position, feature, token, activation, probability, influence };
}

/** Label of a node without its position. */
export function nodeLabel({ kind, layer, feature, token }: NodeResult): string {
  switch (kind) {
    case 'feature':
      return `${layer}/${feature}`;
    case 'error':
      return `error ${layer}`;
    case 'token':
    case 'logit':
      return JSON.stringify(token);
    default:
      return unreachable(kind);
  }
}
