/** Engine, verbs of `tracer graph`: analyses of graph files. None of them loads a model or TF.js. */
import type { AtomicOptions } from '../../formats/atomic.ts';
import { diffGraphs, type GraphDiff } from '../../graph/diff.ts';
import { readGraph, writeGraph } from '../../graph/files.ts';
import { strongestPaths, type StrongPath } from '../../graph/paths.ts';
import { EDGE_FIELDS, pruneGraph, type PruneOptions } from '../../graph/prune.ts';
import { graphScores, subgraphScores, type GraphScores } from '../../graph/scores.ts';
import { selectAll, selectNodes } from '../../graph/select.ts';
import { graphOfPruned } from '../../graph/subgraph.ts';
import { topFeatures, type TopFeature } from '../../graph/top.ts';
import { checkGraphOutput } from '../graph-output.ts';
import { refuseInputs } from '../refuse-inputs.ts';
import type { SavedFileResult } from '../result.ts';
import { writtenFile } from '../written-file.ts';

export interface PruneResult {
  readonly file: string;
  readonly node_threshold: number;
  readonly edge_threshold: number;
  readonly n_nodes: number;
  readonly n_features: number;
  readonly n_edges: number;
  /** Of the graph as it was, before pruning. */
  readonly before: { readonly n_nodes: number; readonly n_features: number; readonly n_edges: number };
  /** Of the graph before pruning, on which they are defined. */
  readonly scores: GraphScores;
  readonly files: readonly SavedFileResult[];
}

/** What pruning keeps; with `output`, the kept part as a graph file of its own. */
export async function pruneFile(
  file: string,
  options: PruneOptions & AtomicOptions & { readonly output?: string | undefined },
): Promise<PruneResult> {
  if (options.output !== undefined) {
    checkGraphOutput(options.output);
    await refuseInputs([options.output], [file]);
  }
  const pruned = pruneGraph(await readGraph(file), options);
  const { graph, nodeMask, edges } = pruned;
  if (options.output !== undefined) await writeGraph(options.output, graphOfPruned(pruned), options);
  return {
    file,
    node_threshold: pruned.nodeThreshold,
    edge_threshold: pruned.edgeThreshold,
    n_nodes: count(nodeMask),
    n_features: count(nodeMask.subarray(0, graph.layout.n_features)),
    n_edges: edges.length / EDGE_FIELDS,
    before: {
      n_nodes: graph.layout.n_nodes,
      n_features: graph.layout.n_features,
      n_edges: countNonzero(graph.edges),
    },
    scores: graphScores(graph),
    files: options.output === undefined ? [] : [await writtenFile(options.output)],
  };
}

export interface ScoresResult {
  readonly graphs: readonly {
    readonly file: string;
    readonly n_features: number;
    readonly scores: GraphScores;
    /** Only with pinned nodes: every other feature counts as error. Nodes of other kinds have no effect. */
    readonly pinned?: { readonly n_nodes: number; readonly n_features: number; readonly scores: GraphScores };
  }[];
}

/** Replacement and completeness score of each file, in the order given. Pinned nodes are searched in each of them. */
export async function scoreFiles(
  files: readonly string[],
  pinned: readonly string[] = [],
): Promise<ScoresResult> {
  const graphs = [];
  for (const file of files) {
    const graph = await readGraph(file);
    const nodes = selectAll(graph, pinned);
    graphs.push({
      file,
      n_features: graph.layout.n_features,
      scores: graphScores(graph),
      ...(pinned.length > 0 && {
        pinned: {
          n_nodes: nodes.length,
          n_features: nodes.filter((node) => node < graph.layout.n_features).length,
          scores: subgraphScores(graph, nodes),
        },
      }),
    });
  }
  return { graphs };
}

export interface TopResult {
  readonly file: string;
  readonly prompt: string;
  readonly top: readonly TopFeature[];
}

/** The k features of most influence, best first. */
export async function topOfFile(file: string, k: number): Promise<TopResult> {
  const graph = await readGraph(file);
  return { file, prompt: graph.provenance.prompt, top: topFeatures(graph, k) };
}

export interface PathsResult {
  readonly file: string;
  readonly from: readonly string[];
  readonly to: readonly string[];
  readonly paths: readonly StrongPath[];
}

/** The k strongest paths between named nodes; without names, from any token to any explained logit. */
export async function pathsOfFile(
  file: string,
  names: { readonly from: readonly string[]; readonly to: readonly string[] },
  k: number,
): Promise<PathsResult> {
  const graph = await readGraph(file);
  const { tokens, logits } = graph.layout;
  const range = ({ start, stop }: { start: number; stop: number }): number[] =>
    Array.from({ length: stop - start }, (_, i) => start + i);
  const from =
    names.from.length > 0 ? names.from.flatMap((name) => selectNodes(graph, name, 'source')) : range(tokens);
  const to =
    names.to.length > 0 ? names.to.flatMap((name) => selectNodes(graph, name, 'target')) : range(logits);
  return { file, ...names, paths: strongestPaths(graph, { from, to, k }) };
}

export interface DiffResult extends GraphDiff {
  readonly before: string;
  readonly after: string;
  /** Of all, listed or not. */
  readonly n_appeared: number;
  readonly n_vanished: number;
  readonly n_changed: number;
}

/** The difference of two graphs, both pruned first. With `k`, at most so many of each kind are listed. */
export async function diffFiles(
  before: string,
  after: string,
  options: PruneOptions & { readonly k?: number | undefined },
): Promise<DiffResult> {
  const [first, second] = [await readGraph(before), await readGraph(after)].map((graph) =>
    graphOfPruned(pruneGraph(graph, options)),
  );
  const { appeared, vanished, changed, n_common } = diffGraphs(first!, second!);
  return {
    before,
    after,
    n_common,
    n_appeared: appeared.length,
    n_vanished: vanished.length,
    n_changed: changed.length,
    appeared: appeared.slice(0, options.k),
    vanished: vanished.slice(0, options.k),
    changed: changed.slice(0, options.k),
  };
}

/** A loop: a function called for each cell of a matrix takes longer than pruning it. */
function countNonzero(edges: Float32Array): number {
  let found = 0;
  for (let i = 0; i < edges.length; i++) found += edges[i] === 0 ? 0 : 1;
  return found;
}

function count(mask: Uint8Array): number {
  return mask.reduce((sum, kept) => sum + kept, 0);
}
