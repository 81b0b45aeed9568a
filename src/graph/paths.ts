/** Graph, analysis: the strongest paths between nodes. */

import { UsageError } from '../errors.ts';
import { edgeWeight, rowOf, type Graph } from './graph.ts';
import { nodeResult, type NodeResult } from './nodes.ts';

export interface PathStep {
  /** Direct effect of a node on the next one, as in the matrix. */
  readonly weight: number;
  /** Its absolute value over the sum of those of all inputs of the next node. */
  readonly share: number;
}

export interface StrongPath {
  /** Product of the shares of all steps, 0 to 1. */
  readonly strength: number;
  /** From the source to the target. */
  readonly nodes: readonly NodeResult[];
  /** One fewer than nodes. */
  readonly steps: readonly PathStep[];
}

export interface PathQuestion {
  /** Node indices that a path may start at. */
  readonly from: Iterable<number>;
  /** Node indices that a path may end at. */
  readonly to: Iterable<number>;
  /** How many paths. */
  readonly k: number;
}

/** Memory grows with nodes times k; longer lists are not useful. */
const LARGEST_K = 1000;

/**
 * The k strongest paths between two sets of nodes, strongest first. A graph without cycles has them by dynamic programming:
 * each node keeps its k strongest paths to a target, and extends them to its sources once they are final.
 * Throws `UsageError` for a k that is no whole number from 1 to 1000.
 */
export function strongestPaths(graph: Graph, { from, to, k }: PathQuestion): StrongPath[] {
  if (!Number.isInteger(k) || k < 1 || k > LARGEST_K) {
    throw new UsageError({
      code: 'bad_count',
      message: `${k} paths are asked for; expected a whole number from 1 to ${LARGEST_K}.`,
    });
  }
  const paths = new PathTable(graph.layout.n_nodes, k);
  const targets = new Set(to);
  for (let row = graph.layout.n_rows - 1; row >= 0; row--) {
    const node = graph.layout.nodeOfRow(row);
    extendToSources(graph, paths, node, targets.has(node));
  }
  const found = [...new Set(from)].flatMap((node) => paths.of(node));
  return found
    .sort((a, b) => b.strength - a.strength)
    .slice(0, k)
    .map(({ strength, nodes }) => describePath(graph, strength, nodes));
}

function extendToSources(graph: Graph, paths: PathTable, target: number, isEnd: boolean): void {
  const row = rowOf(graph, target);
  if (row === undefined || (paths.count(target) === 0 && !isEnd)) return;
  const sum = absoluteSum(row);
  for (let source = 0; source < graph.layout.logits.start; source++) {
    const share = Math.abs(row[source]!) / sum;
    if (!(share > 0)) continue;
    if (isEnd) paths.offer(source, share, target, END);
    for (let rank = 0; rank < paths.count(target); rank++) {
      if (!paths.offer(source, paths.strength(target, rank) * share, target, rank)) break;
    }
  }
}

function describePath(graph: Graph, strength: number, nodes: readonly number[]): StrongPath {
  const steps = nodes.slice(1).map((target, i) => {
    const weight = edgeWeight(graph, target, nodes[i]!);
    return { weight, share: Math.abs(weight) / absoluteSum(rowOf(graph, target)!) };
  });
  return { strength, nodes: nodes.map((node) => nodeResult(graph, node)), steps };
}

function absoluteSum(row: Float32Array): number {
  return row.reduce((sum, weight) => sum + Math.abs(weight), 0);
}

/** Instead of a rank: the path ends with the next node. */
const END = -1;

/** The k strongest paths from each node to a target, strongest first, each as its next node and the rank of the rest there. */
class PathTable {
  readonly #k: number;
  readonly #counts: Int32Array;
  readonly #strengths: Float64Array;
  readonly #nextNodes: Int32Array;
  readonly #nextRanks: Int32Array;

  constructor(n_nodes: number, k: number) {
    this.#k = k;
    this.#counts = new Int32Array(n_nodes);
    this.#strengths = new Float64Array(n_nodes * k);
    this.#nextNodes = new Int32Array(n_nodes * k);
    this.#nextRanks = new Int32Array(n_nodes * k);
  }

  count(node: number): number {
    return this.#counts[node]!;
  }

  strength(node: number, rank: number): number {
    return this.#strengths[node * this.#k + rank]!;
  }

  /** Keeps a path if it is among the k strongest of its node; among equals the one offered first. */
  offer(node: number, strength: number, nextNode: number, nextRank: number): boolean {
    const start = node * this.#k;
    let rank = this.#counts[node]!;
    while (rank > 0 && this.#strengths[start + rank - 1]! < strength) rank--;
    if (rank === this.#k) return false;
    if (this.#counts[node]! < this.#k) this.#counts[node]!++;
    const last = start + this.#counts[node]! - 1;
    for (let i = last; i > start + rank; i--) {
      this.#strengths[i] = this.#strengths[i - 1]!;
      this.#nextNodes[i] = this.#nextNodes[i - 1]!;
      this.#nextRanks[i] = this.#nextRanks[i - 1]!;
    }
    this.#strengths[start + rank] = strength;
    this.#nextNodes[start + rank] = nextNode;
    this.#nextRanks[start + rank] = nextRank;
    return true;
  }

  /** All paths of a node. */
  of(node: number): { strength: number; nodes: number[] }[] {
    const ranks = Array.from({ length: this.#counts[node]! }, (_, rank) => rank);
    return ranks.map((rank) => ({ strength: this.strength(node, rank), nodes: this.#follow(node, rank) }));
  }

  #follow(node: number, rank: number): number[] {
    const nodes: number[] = [];
    let [at, rankThere] = [node, rank];
    while (rankThere !== END) {
      nodes.push(at);
      const entry = at * this.#k + rankThere;
      [at, rankThere] = [this.#nextNodes[entry]!, this.#nextRanks[entry]!];
    }
    return [...nodes, at];
  }
}
