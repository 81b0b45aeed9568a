/** Graph, pruning: keeps the nodes and edges that hold most of the influence (Ameisen et al. 2025). */

import { UsageError } from '../errors.ts';
import { cumulativeShares, shareCut } from './share.ts';
import type { Graph } from './graph.ts';
import { outputInfluence, spreadInfluence, type Influence } from './influence.ts';
import { linkRows, type LinkedGraph } from './links.ts';

/** Shares of influence that are kept by default. */
export const PRUNE_DEFAULTS = { nodeThreshold: 0.8, edgeThreshold: 0.98 } as const;

export interface PruneOptions {
  /** Share of influence that the kept nodes hold, 0 to 1. */
  readonly nodeThreshold?: number | undefined;
  /** Share of edge scores that the kept edges hold, 0 to 1. */
  readonly edgeThreshold?: number | undefined;
}

export interface PrunedGraph<G extends LinkedGraph = Graph> {
  readonly graph: G;
  readonly nodeThreshold: number;
  readonly edgeThreshold: number;
  /** `[N]` 1 for kept nodes. Tokens and logits always are. */
  readonly nodeMask: Uint8Array;
  /** `[e, 2]` kept edges as (target, source) node indices, in that order. A zero of the matrix is no edge. */
  readonly edges: Int32Array;
  /** `[N]` cumulative share of influence down to each node: small numbers are important nodes. */
  readonly cumulativeScores: Float64Array;
}

/** Numbers of an edge in `PrunedGraph.edges`. */
export const EDGE_FIELDS = 2;

/**
 * Prunes in four steps: nodes by share of influence; edges by share of edge score, on the graph of the kept nodes; then,
 * until nothing changes, features and errors that reach nothing and features that nothing reaches.
 * Throws `UsageError` for thresholds outside 0 to 1.
 */
export function pruneGraph<G extends LinkedGraph>(graph: G, options: PruneOptions = {}): PrunedGraph<G> {
  const nodeThreshold = checkedShare('node', options.nodeThreshold ?? PRUNE_DEFAULTS.nodeThreshold);
  const edgeThreshold = checkedShare('edge', options.edgeThreshold ?? PRUNE_DEFAULTS.edgeThreshold);
  const { influence } = spreadInfluence(graph);
  const isLeft = wasPruned(graph, nodeThreshold, edgeThreshold);
  const nodeMask = isLeft ? connectedNodes(graph) : keepNodes(graph, influence, nodeThreshold);
  // Of a graph that was pruned every link is kept: its shares of what is left are no measure.
  const edges = isLeft
    ? keepEdges(graph, nodeMask, 1)
    : dropDeadEnds(graph, nodeMask, keepEdges(graph, nodeMask, edgeThreshold));
  return {
    graph,
    nodeThreshold,
    edgeThreshold,
    nodeMask,
    edges,
    cumulativeScores: cumulativeShares(influence),
  };
}

/** Nodes of the features that pruning kept. */
export function keptFeatures({ graph, nodeMask }: PrunedGraph<LinkedGraph>): number[] {
  return [...nodeMask.subarray(0, graph.layout.n_features).keys()].filter((node) => nodeMask[node] === 1);
}

/** Whether the graph is what pruning left of one (`keptGraph`), with thresholds that left no more than these would. */
function wasPruned({ provenance }: LinkedGraph, nodeThreshold: number, edgeThreshold: number): boolean {
  const { node_threshold: nodes, edge_threshold: edges } = provenance.options;
  if (!provenance.scores || typeof nodes !== 'number' || typeof edges !== 'number') return false;
  return nodes <= nodeThreshold && edges <= edgeThreshold;
}

/** Of what pruning left: errors are nodes where a link begins. */
function connectedNodes(graph: LinkedGraph): Uint8Array {
  const { layout } = graph;
  const { start, stop } = layout.errors;
  const mask = new Uint8Array(layout.n_nodes).fill(1).fill(0, start, stop);
  const rows = linkRows(graph, new Uint8Array(layout.n_nodes).fill(1, start, stop));
  for (let row = 0; row < layout.n_rows; row++) {
    const n = rows.read(row);
    for (let i = 0; i < n; i++) {
      const source = rows.sources[i]!;
      if (rows.weights[source] !== 0) mask[source] = 1;
    }
  }
  return mask;
}

/** Step 1. */
function keepNodes(graph: LinkedGraph, influence: Float64Array, share: number): Uint8Array {
  const cut = shareCut((visit) => {
    influence.forEach(visit);
  }, share);
  return Uint8Array.from(influence, (score, node) =>
    score >= cut || node >= graph.layout.tokens.start ? 1 : 0,
  );
}

/** Steps 2 and 3: edges of the kept nodes, scored by normalised weight times what their target passes on. */
function keepEdges(graph: LinkedGraph, nodeMask: Uint8Array, share: number): Int32Array {
  const spreadAgain = spreadInfluence(graph, nodeMask);
  const cut = shareCut((visit) => {
    forEachEdge(graph, nodeMask, spreadAgain, (score) => {
      visit(score);
    });
  }, share);
  let count = 0;
  forEachEdge(graph, nodeMask, spreadAgain, (score) => {
    if (score >= cut) count++;
  });
  const edges = new Int32Array(count * EDGE_FIELDS);
  let next = 0;
  forEachEdge(graph, nodeMask, spreadAgain, (score, target, source) => {
    if (score < cut) return;
    edges[next++] = target;
    edges[next++] = source;
  });
  return edges;
}

/** Every edge of positive score between kept nodes, by target, then source. */
function forEachEdge(
  graph: LinkedGraph,
  nodeMask: Uint8Array,
  { influence, rowSums }: Influence,
  visit: (score: number, target: number, source: number) => void,
): void {
  const { layout } = graph;
  const rows = linkRows(graph, nodeMask);
  for (let row = 0; row < layout.n_rows; row++) {
    if (rowSums[row] === 0) continue; // dropped, or nothing to pass on
    const target = layout.nodeOfRow(row);
    const scale = outputInfluence(graph, influence, row) / rowSums[row]!;
    const n = rows.read(row);
    const { sources, weights } = rows;
    for (let i = 0; i < n; i++) {
      const source = sources[i]!;
      const score = Math.abs(weights[source]!) * scale;
      if (score > 0) visit(score, target, source);
    }
  }
}

/** Step 4, changes `nodeMask` in place; returns the edges that are left. */
function dropDeadEnds(graph: LinkedGraph, nodeMask: Uint8Array, edges: Int32Array): Int32Array {
  const { features, tokens, n_nodes } = graph.layout;
  let left = edges;
  for (;;) {
    const hasIncoming = new Uint8Array(n_nodes);
    const hasOutgoing = new Uint8Array(n_nodes);
    for (let i = 0; i < left.length; i += EDGE_FIELDS) {
      hasIncoming[left[i]!] = 1;
      hasOutgoing[left[i + 1]!] = 1;
    }
    let dropped = false;
    for (let node = 0; node < tokens.start; node++) {
      const alive = hasOutgoing[node] === 1 && (node >= features.stop || hasIncoming[node] === 1);
      if (nodeMask[node] === 0 || alive) continue;
      nodeMask[node] = 0;
      dropped = true;
    }
    if (!dropped) return left;
    left = edgesBetween(nodeMask, left);
  }
}

function edgesBetween(nodeMask: Uint8Array, edges: Int32Array): Int32Array {
  let count = 0;
  const kept = new Int32Array(edges.length);
  for (let i = 0; i < edges.length; i += EDGE_FIELDS) {
    if (nodeMask[edges[i]!] === 0 || nodeMask[edges[i + 1]!] === 0) continue;
    kept[count++] = edges[i]!;
    kept[count++] = edges[i + 1]!;
  }
  return kept.slice(0, count);
}

function checkedShare(what: 'node' | 'edge', share: number): number {
  if (share >= 0 && share <= 1) return share;
  throw new UsageError({
    code: 'threshold_range',
    message: `The ${what} threshold is ${share}, but it is a share of influence.`,
    hint: `Give --${what}-threshold a number from 0 to 1.`,
  });
}
