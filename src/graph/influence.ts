/**
 * Graph, influence: how much of the probability on the logit nodes reaches each node when it flows from targets to sources along
 * the normalised absolute edges.
 */

import type { Graph } from './graph.ts';

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
 */
export function spreadInfluence(graph: Graph, kept?: Uint8Array): Influence {
  const { layout, edges } = graph;
  const N = layout.n_nodes;
  const columns = sourceColumns(graph, kept);
  const influence = new Float64Array(N);
  const rowSums = new Float64Array(layout.n_rows);
  for (let row = layout.n_rows - 1; row >= 0; row--) {
    const node = layout.nodeOfRow(row);
    const mass = outputInfluence(graph, influence, row);
    if (mass === 0 || kept?.[node] === 0) continue;
    const values = edges.subarray(row * N, (row + 1) * N);
    const sum = Math.max(absoluteSum(values, columns), SMALLEST_ROW_SUM);
    rowSums[row] = sum;
    spread(values, columns, mass / sum, influence);
  }
  return { influence, rowSums };
}

/** Influence of every node, `[N]`. */
export function nodeInfluence(graph: Graph): Float64Array {
  return spreadInfluence(graph).influence;
}

/** Influence of a row's node plus the probability that starts there: what the row passes on. */
export function outputInfluence(graph: Graph, influence: Float64Array, row: number): number {
  const logit = row - graph.layout.n_features;
  return logit < 0 ? influence[row]! : graph.logit_probabilities[logit]!;
}

/** Columns that can be sources, of the nodes that take part: logits never are. */
export function sourceColumns(graph: Graph, kept?: Uint8Array): Int32Array {
  const all = Int32Array.from({ length: graph.layout.logits.start }, (_, column) => column);
  return kept === undefined ? all : all.filter((column) => kept[column] !== 0);
}

function absoluteSum(values: Float32Array, columns: Int32Array): number {
  let sum = 0;
  for (let i = 0; i < columns.length; i++) sum += Math.abs(values[columns[i]!]!);
  return sum;
}

function spread(values: Float32Array, columns: Int32Array, scale: number, arrived: Float64Array): void {
  for (let i = 0; i < columns.length; i++) {
    const column = columns[i]!;
    arrived[column]! += Math.abs(values[column]!) * scale;
  }
}
