/** Study: the rows of one graph, of what pruning leaves of it. */
import { edgeWeight, type Graph, type JsonValue } from '../graph/graph.ts';
import { nodeResult, type NodeResult } from '../graph/nodes.ts';
import { EDGE_FIELDS, pruneGraph, type PruneOptions } from '../graph/prune.ts';
import { graphScores, type GraphScores } from '../graph/scores.ts';

export interface EdgeRow {
  /** Numbers in `nodes`. */
  readonly source: number;
  readonly target: number;
  readonly weight: number;
  readonly influence: number;
}

export interface GraphRows {
  readonly nodes: readonly NodeResult[];
  readonly edges: readonly EdgeRow[];
  readonly scores: GraphScores;
  readonly nodeThreshold: number | null;
  readonly edgeThreshold: number | null;
}

/** Indices of a graph's nodes, and (target, source) pairs of them. */
interface Kept extends Pick<GraphRows, 'nodeThreshold' | 'edgeThreshold'> {
  readonly nodes: readonly number[];
  readonly edges: Int32Array;
}

/** Of a whole graph what pruning leaves, of one that was stored pruned all of it: both give the same rows. */
export function graphRows(graph: Graph, options: PruneOptions = {}): GraphRows {
  const { nodes, edges, ...thresholds } = isStoredPruned(graph)
    ? storedPart(graph)
    : prunedPart(graph, options);
  const place = new Int32Array(graph.layout.n_nodes).fill(-1);
  nodes.forEach((node, i) => (place[node] = i));
  return {
    nodes: nodes.map((node) => nodeResult(graph, node)),
    edges: edgeRows(graph, edges, place),
    scores: graphScores(graph),
    ...thresholds,
  };
}

/** Whether the file holds what pruning left (`attribute --store nodes`). */
export function isStoredPruned({ provenance }: Graph): boolean {
  return provenance.options['store'] === 'nodes';
}

/** The thresholds of a graph that was stored pruned. */
export function storedThresholds({ provenance }: Graph): Pick<Kept, 'nodeThreshold' | 'edgeThreshold'> {
  const { node_threshold, edge_threshold } = provenance.options;
  const number = (value: JsonValue | undefined): number | null => (typeof value === 'number' ? value : null);
  return { nodeThreshold: number(node_threshold), edgeThreshold: number(edge_threshold) };
}

function prunedPart(graph: Graph, options: PruneOptions): Kept {
  const { nodeMask, edges, nodeThreshold, edgeThreshold } = pruneGraph(graph, options);
  const nodes = Array.from(nodeMask.keys()).filter((node) => nodeMask[node] === 1);
  return { nodes, edges, nodeThreshold, edgeThreshold };
}

/** Every link of the file. It has a row of errors for each layer, of which pruning left those with a link. */
function storedPart(graph: Graph): Kept {
  const { layout } = graph;
  const edges: number[] = [];
  const hasLink = new Uint8Array(layout.n_nodes);
  for (let row = 0; row < layout.n_rows; row++) {
    const target = layout.nodeOfRow(row);
    for (let source = 0; source < layout.logits.start; source++) {
      if (graph.edges[row * layout.n_nodes + source] === 0) continue;
      edges.push(target, source);
      hasLink[source] = 1;
    }
  }
  const nodes = Array.from(hasLink.keys()).filter(
    (node) => node < layout.errors.start || node >= layout.tokens.start || hasLink[node] === 1,
  );
  return { nodes, edges: Int32Array.from(edges), ...storedThresholds(graph) };
}

function edgeRows(graph: Graph, edges: Int32Array, place: Int32Array): EdgeRow[] {
  const { layout, logit_probabilities, node_influence } = graph;
  const sums = new Float64Array(layout.n_nodes);
  for (let i = 0; i < edges.length; i += EDGE_FIELDS) {
    sums[edges[i]!]! += Math.abs(edgeWeight(graph, edges[i]!, edges[i + 1]!));
  }
  const passedOn = (target: number): number =>
    target < layout.logits.start
      ? node_influence[target]!
      : logit_probabilities[target - layout.logits.start]!;
  return Array.from({ length: edges.length / EDGE_FIELDS }, (_, i) => {
    const [target, source] = [edges[EDGE_FIELDS * i]!, edges[EDGE_FIELDS * i + 1]!];
    const weight = edgeWeight(graph, target, source);
    const influence = (passedOn(target) * Math.abs(weight)) / sums[target]!;
    return { source: place[source]!, target: place[target]!, weight, influence };
  });
}
