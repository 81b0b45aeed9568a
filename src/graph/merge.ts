/** Graph, analysis: the union of several graphs, summed over positions. */

import { unreachable, UsageError } from '../errors.ts';
import { edgeWeight, type Graph } from './graph.ts';
import { nodeResult } from './nodes.ts';
import { EDGE_FIELDS, type PrunedGraph } from './prune.ts';
import { featureKey, requireOneSet } from './totals.ts';
import { nodeLabel, type GraphView, type ViewLink, type ViewNode } from './view.ts';

export interface MergedNode extends ViewNode {
  /** In how many graphs it occurs. */
  readonly n_graphs: number;
}

export interface MergedLink extends ViewLink {
  readonly n_graphs: number;
}

export interface MergedGraph extends GraphView {
  readonly n_graphs: number;
  readonly nodes: readonly MergedNode[];
  readonly links: readonly MergedLink[];
}

/**
 * The union of pruned graphs. Nodes are merged if they have the same meaning: features of one layer and number, errors of one
 * layer, tokens and logits of one token (custom directions: of one label). Within a graph, influences, activations,
 * probabilities and weights are summed over positions; over graphs they are averaged, a graph without it counting as zero.
 * Most influence first, links by weight. Throws `UsageError` for none, or for graphs of different transcoder sets.
 */
export function mergeGraphs(prunedGraphs: readonly PrunedGraph[]): MergedGraph {
  const count = prunedGraphs.length;
  if (count === 0) {
    throw new UsageError({
      code: 'no_graphs',
      message: 'There is no graph to merge: name at least one file.',
    });
  }
  requireOneSet(prunedGraphs.map(({ graph }) => graph));
  const nodes = new Map<string, MergedNode>();
  const links = new Map<string, MergedLink>();
  for (const pruned of prunedGraphs) {
    const keys = Array.from(pruned.nodeMask, (kept, node) =>
      kept === 1 ? mergedKey(pruned.graph, node) : '',
    );
    addNodes(nodes, pruned, keys, count);
    addLinks(links, pruned, keys, count);
  }
  return {
    n_graphs: count,
    nodes: [...nodes.values()].sort((a, b) => b.influence - a.influence),
    links: [...links.values()].sort((a, b) => Math.abs(b.weight) - Math.abs(a.weight)),
  };
}

function addNodes(
  nodes: Map<string, MergedNode>,
  { graph }: PrunedGraph,
  keys: string[],
  count: number,
): void {
  const seen = new Set<string>();
  keys.forEach((id, index) => {
    if (id === '') return;
    const node = nodeResult(graph, index);
    const before = nodes.get(id);
    nodes.set(id, {
      id,
      kind: node.kind,
      label: nodeLabel(node),
      layer: node.layer,
      position: null,
      feature: node.feature,
      token: node.token_id === null ? null : node.token,
      activation: mean(before?.activation, node.activation, count),
      probability: mean(before?.probability, node.probability, count),
      influence: (before?.influence ?? 0) + node.influence / count,
      n_graphs: (before?.n_graphs ?? 0) + (seen.has(id) ? 0 : 1),
    });
    seen.add(id);
  });
}

function addLinks(
  links: Map<string, MergedLink>,
  { graph, edges }: PrunedGraph,
  keys: string[],
  count: number,
): void {
  const seen = new Set<string>();
  for (let i = 0; i < edges.length; i += EDGE_FIELDS) {
    const [target, source] = [keys[edges[i]!]!, keys[edges[i + 1]!]!];
    const key = JSON.stringify([target, source]);
    const before = links.get(key);
    links.set(key, {
      source,
      target,
      weight: (before?.weight ?? 0) + edgeWeight(graph, edges[i]!, edges[i + 1]!) / count,
      n_graphs: (before?.n_graphs ?? 0) + (seen.has(key) ? 0 : 1),
    });
    seen.add(key);
  }
}

/** Key of a node over all prompts. */
function mergedKey(graph: Graph, index: number): string {
  const node = nodeResult(graph, index);
  switch (node.kind) {
    case 'feature':
      return featureKey(node.layer!, node.feature!);
    case 'error':
      return `${node.layer}_error`;
    case 'token':
      return `E_${node.token_id}`;
    case 'logit': {
      const { vocabulary_size } = graph.provenance;
      const isDirection = vocabulary_size !== null && node.token_id! >= vocabulary_size;
      return `L_${isDirection ? node.token : node.token_id}`;
    }
    default:
      return unreachable(node.kind);
  }
}

function mean(sum: number | null | undefined, value: number | null, count: number): number | null {
  return value === null ? null : (sum ?? 0) + value / count;
}
