/**
 * Graph, influence: how much of the probability on the logit nodes reaches each node when it flows from targets to sources along
 * the normalised absolute edges.
 */

import type { GraphNodes } from './graph.ts';
import { linkRows, type LinkedGraph, type LinkRows } from './links.ts';

/** A row whose absolute sum is below this is divided by this instead: an empty row passes nothing on. */
const SMALLEST_ROW_SUM = 1e-10;

export interface Influence {
  /** `[N]` influence of each node; zero for logits, which receive nothing. */
  readonly influence: Float64Array;
  /** `[n_rows]` what each row is divided by: its absolute sum over the kept columns. Zero for rows that pass nothing. */
  readonly rowSums: Float64Array;
}

/**
 * w·M + w·M² + …, w being the logit probabilities and M the absolute edges with rows divided by their sums.
 *
 * The series is summed in one pass: rows go from the logits down to the first feature, and a feature receives only from
 * features before it, so that all mass of a node has arrived when its row is reached. Sums are float64.
 *
 * @param kept `[N]` nodes that take part; edges of the others count as zero. Left out: all.
 * @param onRow called with each row that passes something on, while its links are there: to read them again takes as long as the rest
 */
export function spreadInfluence(
  graph: LinkedGraph,
  kept?: Uint8Array,
  onRow?: (row: number, links: LinkRows, n: number) => void,
): Influence {
  const { layout } = graph;
  const rows = linkRows(graph, kept);
  const influence = new Float64Array(layout.n_nodes);
  const rowSums = new Float64Array(layout.n_rows);
  for (let row = layout.n_rows - 1; row >= 0; row--) {
    const node = layout.nodeOfRow(row);
    const mass = outputInfluence(graph, influence, row);
    if (mass === 0 || kept?.[node] === 0) continue;
    const n = rows.read(row);
    const sum = Math.max(absoluteSum(rows, n), SMALLEST_ROW_SUM);
    rowSums[row] = sum;
    spread(rows, n, mass / sum, influence);
    onRow?.(row, rows, n);
  }
  return { influence, rowSums };
}

/** Influence of every node, `[N]`. */
export function nodeInfluence(graph: LinkedGraph): Float64Array {
  return spreadInfluence(graph).influence;
}

/** Influence of a row's node plus the probability that starts there: what the row passes on. */
export function outputInfluence(graph: GraphNodes, influence: Float64Array, row: number): number {
  const logit = row - graph.layout.n_features;
  return logit < 0 ? influence[row]! : graph.logit_probabilities[logit]!;
}

function absoluteSum({ sources, weights }: LinkRows, n: number): number {
  let sum = 0;
  for (let i = 0; i < n; i++) sum += Math.abs(weights[sources[i]!]!);
  return sum;
}

function spread({ sources, weights }: LinkRows, n: number, scale: number, arrived: Float64Array): void {
  for (let i = 0; i < n; i++) {
    const source = sources[i]!;
    arrived[source]! += Math.abs(weights[source]!) * scale;
  }
}
