/** Engine: pinned nodes are kept in the drawn graph at any threshold. */
import { nodeId } from '../../graph/nodes.ts';
import { EDGE_FIELDS, pruneGraph, type PrunedGraph } from '../../graph/prune.ts';

/** Cumulative shares are sums in another order than the cut's. */
const ROUNDING = 1e-9;

/**
 * The pruned graph and the pinned nodes that it lacks, with those of their edges to nodes that are drawn which the edge
 * threshold keeps once the node threshold lets the pinned nodes in. All other nodes and edges stay as they were.
 */
export function withPinned(pruned: PrunedGraph, pinnedIds: readonly string[]): PrunedGraph {
  const missing = missingNodes(pruned, pinnedIds);
  if (missing.length === 0) return pruned;
  const nodeMask = pruned.nodeMask.slice();
  for (const node of missing) nodeMask[node] = 1;
  const reached = missing.reduce((most, node) => Math.max(most, pruned.cumulativeScores[node]!), 0);
  const wider = pruneGraph(pruned.graph, {
    nodeThreshold: Math.min(1, reached + ROUNDING),
    edgeThreshold: pruned.edgeThreshold,
  });
  const added = new Set(missing);
  const edges = [...pairs(pruned.edges)];
  for (const [target, source] of pairs(wider.edges)) {
    const isNew = added.has(target) || added.has(source);
    if (isNew && nodeMask[target] === 1 && nodeMask[source] === 1) edges.push([target, source]);
  }
  edges.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  return { ...pruned, nodeMask, edges: Int32Array.from(edges.flat()) };
}

/** Unknown ids are ignored. */
function missingNodes({ graph, nodeMask }: PrunedGraph, pinnedIds: readonly string[]): number[] {
  if (pinnedIds.length === 0) return [];
  const pinned = new Set(pinnedIds);
  return Array.from(nodeMask.keys()).filter(
    (node) => nodeMask[node] === 0 && pinned.has(nodeId(graph, node)),
  );
}

function* pairs(edges: Int32Array): Generator<[target: number, source: number]> {
  for (let i = 0; i < edges.length; i += EDGE_FIELDS) yield [edges[i]!, edges[i + 1]!];
}
