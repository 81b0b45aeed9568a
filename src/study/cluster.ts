/** Study, `cluster`: prompts by what their graphs share. Distances and the choice of how many; the tree is made by ml-hclust. */
import { agnes, type Cluster } from 'ml-hclust';
import type { Measured } from './sample.ts';

/** Tried where the number of clusters is not given. */
const MOST_CLUSTERS = 10;

export interface ClusterTree {
  /** Average distance between the two parts; 0 for a single graph. */
  readonly height: number;
  readonly size: number;
  /** Index in the sample, of a single graph. */
  readonly graph: number | null;
  readonly children: readonly ClusterTree[];
}

export interface Clustering {
  readonly tree: ClusterTree;
  /** Indices in the sample; the largest cluster first. */
  readonly clusters: readonly (readonly number[])[];
  /** Mean silhouette, -1 to 1: near 0, the clusters are no better than any others. */
  readonly silhouette: number;
}

/**
 * 1 - Σ min / Σ max of the influences of features (weighted Jaccard, Ruzicka): 0 for graphs of the same features with the same
 * influences, 1 for graphs without a common feature. `[n][n]`
 */
export function distances(features: readonly Measured[], n_graphs: number): number[][] {
  const totals = new Float64Array(n_graphs);
  const shared = Array.from({ length: n_graphs }, () => new Float64Array(n_graphs));
  for (const { at, values } of features) {
    at.forEach((graph, i) => {
      totals[graph]! += values[i]!;
      for (let j = 0; j < i; j++) shared[graph]![at[j]!]! += Math.min(values[i]!, values[j]!);
    });
  }
  const distance = (a: number, b: number): number => {
    const both = shared[Math.max(a, b)]![Math.min(a, b)]!;
    const either = totals[a]! + totals[b]! - both;
    return a === b || either === 0 ? 0 : Math.max(0, 1 - both / either);
  };
  return Array.from({ length: n_graphs }, (_, a) =>
    Array.from({ length: n_graphs }, (_, b) => distance(a, b)),
  );
}

/** Average linkage. Without a number of clusters, the one from 2 to 10 with the best silhouette. */
export function clusterGraphs(
  matrix: readonly (readonly number[])[],
  wanted: number | undefined,
): Clustering {
  const root = agnes(
    matrix.map((row) => [...row]),
    { method: 'average', isDistanceMatrix: true },
  );
  const n = matrix.length;
  const counts =
    wanted === undefined
      ? Array.from({ length: Math.min(MOST_CLUSTERS, n - 1) - 1 }, (_, i) => i + 2)
      : [wanted];
  const tried = counts.map((count) => {
    const clusters = count >= n ? root.indices().map((graph) => [graph]) : clustersOf(root, count);
    return { clusters, silhouette: meanSilhouette(matrix, clusters) };
  });
  const best = tried.reduce((a, b) => (b.silhouette > a.silhouette ? b : a));
  return { tree: treeOf(root), ...best };
}

function clustersOf(root: Cluster, count: number): number[][] {
  const parts = count === 1 ? [root] : root.group(count).children;
  return parts
    .map((part) => [...part.indices()].sort((a, b) => a - b))
    .sort((a, b) => b.length - a.length || a[0]! - b[0]!);
}

function treeOf({ height, size, isLeaf, index, children }: Cluster): ClusterTree {
  return { height, size, graph: isLeaf ? index : null, children: children.map(treeOf) };
}

/** Rousseeuw 1987; a graph that is a cluster by itself counts as 0. */
export function meanSilhouette(
  matrix: readonly (readonly number[])[],
  clusters: readonly (readonly number[])[],
): number {
  if (clusters.length < 2) return 0;
  let sum = 0;
  for (const own of clusters) {
    if (own.length === 1) continue;
    for (const graph of own) {
      const mean = (cluster: readonly number[], others: number): number =>
        cluster.reduce((total, other) => total + matrix[graph]![other]!, 0) / others;
      const within = mean(own, own.length - 1);
      const nearest = clusters.reduce(
        (least, cluster) => (cluster === own ? least : Math.min(least, mean(cluster, cluster.length))),
        Infinity,
      );
      const larger = Math.max(within, nearest);
      sum += larger === 0 ? 0 : (nearest - within) / larger;
    }
  }
  return sum / matrix.length;
}

/** The graph with the least distance to the others of its cluster. */
export function medoid(matrix: readonly (readonly number[])[], cluster: readonly number[]): number {
  const total = (graph: number): number => cluster.reduce((sum, other) => sum + matrix[graph]![other]!, 0);
  return cluster.reduce((best, graph) => (total(graph) < total(best) ? graph : best));
}
