/** Engine, verbs of `tracer graph`: questions to graph files. None of them loads a model or TF.js. */
import path from 'node:path';
import { unreachable, UsageError } from '../errors.ts';
import { writeFileAtomic } from '../formats/atomic.ts';
import { diffGraphs, type GraphDiff } from '../graph/diff.ts';
import { linksToCsv, nodesToCsv, toDot, toGraphml } from '../graph/export.ts';
import { readGraph, writeGraph } from '../graph/files.ts';
import type { Graph } from '../graph/graph.ts';
import { mergeGraphs, type MergedGraph } from '../graph/merge.ts';
import { sanitiseName, viewerGraph } from '../graph/neuronpedia.ts';
import { strongestPaths, type StrongPath } from '../graph/paths.ts';
import { EDGE_FIELDS, PRUNE_DEFAULTS, pruneGraph, type PrunedGraph } from '../graph/prune.ts';
import { graphScores, subgraphScores, type GraphScores } from '../graph/scores.ts';
import { selectAll, selectNodes } from '../graph/select.ts';
import { graphOfPruned } from '../graph/subgraph.ts';
import { topFeatures, type TopFeature } from '../graph/top.ts';
import { viewOf, type GraphView } from '../graph/view.ts';
import { writeViewerGraph } from '../graph/viewer-files.ts';
import type { SavedFileResult } from './results.ts';
import { writtenFile } from './written-file.ts';

export const EXPORT_FORMATS = ['neuronpedia', 'graphml', 'dot', 'csv'] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

export interface Thresholds {
  readonly nodeThreshold?: number | undefined;
  readonly edgeThreshold?: number | undefined;
}

export interface PruneResult {
  readonly file: string;
  readonly node_threshold: number;
  readonly edge_threshold: number;
  readonly n_nodes: number;
  readonly n_features: number;
  readonly n_edges: number;
  readonly scores: GraphScores;
  readonly files: readonly SavedFileResult[];
}

/** What pruning keeps; with `output`, the kept part as a graph file of its own. */
export async function pruneFile(
  file: string,
  options: Thresholds & { readonly output?: string | undefined },
): Promise<PruneResult> {
  const pruned = pruneWith(await readGraph(file), options);
  const { graph, nodeMask, edges } = pruned;
  if (options.output !== undefined) await writeGraph(options.output, graphOfPruned(pruned));
  return {
    file,
    node_threshold: pruned.nodeThreshold,
    edge_threshold: pruned.edgeThreshold,
    n_nodes: count(nodeMask),
    n_features: count(nodeMask.subarray(0, graph.layout.n_features)),
    n_edges: edges.length / EDGE_FIELDS,
    scores: graphScores(graph),
    files: options.output === undefined ? [] : [await writtenFile(options.output)],
  };
}

export interface ScoresResult {
  readonly graphs: readonly {
    readonly file: string;
    readonly n_features: number;
    readonly scores: GraphScores;
    /** Only with pinned nodes: everything else counted as error. */
    readonly pinned?: { readonly n_nodes: number; readonly scores: GraphScores };
  }[];
}

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
      ...(pinned.length > 0 && { pinned: { n_nodes: nodes.length, scores: subgraphScores(graph, nodes) } }),
    });
  }
  return { graphs };
}

export interface TopResult {
  readonly file: string;
  readonly prompt: string;
  readonly top: readonly TopFeature[];
}

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

/** The k strongest ways between named nodes; without names, from any token to any explained logit. */
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
}

/** What differs between what matters in two graphs: both are pruned first. */
export async function diffFiles(before: string, after: string, thresholds: Thresholds): Promise<DiffResult> {
  const [first, second] = [await readGraph(before), await readGraph(after)].map((graph) =>
    graphOfPruned(pruneWith(graph, thresholds)),
  );
  return { before, after, ...diffGraphs(first!, second!) };
}

export interface MergeResult {
  readonly graphs: readonly string[];
  readonly n_nodes: number;
  readonly n_links: number;
  readonly merged: MergedGraph;
  readonly files: readonly SavedFileResult[];
}

/** Several graphs as one, each pruned first; with `output`, written in a format of `export` (not neuronpedia). */
export async function mergeFiles(
  files: readonly string[],
  options: Thresholds & { readonly output?: string | undefined; readonly format?: ExportFormat | undefined },
): Promise<MergeResult> {
  const pruned: PrunedGraph[] = [];
  for (const file of files) pruned.push(pruneWith(await readGraph(file), options));
  const merged = mergeGraphs(pruned);
  const { output, format = 'graphml' } = options;
  const written = output === undefined ? [] : await writeView(merged, format, output);
  return {
    graphs: files,
    n_nodes: merged.nodes.length,
    n_links: merged.links.length,
    merged,
    files: written,
  };
}

export interface ExportOptions extends Thresholds {
  readonly format: ExportFormat;
  /** File to write; for `neuronpedia` a folder and `slug` may be given instead. */
  readonly output?: string | undefined;
  readonly graphDir?: string | undefined;
  readonly slug?: string | undefined;
  readonly scan?: string | undefined;
}

export interface ExportResult {
  readonly file: string;
  readonly format: ExportFormat;
  readonly n_nodes: number;
  readonly n_links: number;
  readonly files: readonly SavedFileResult[];
}

export async function exportFile(file: string, options: ExportOptions): Promise<ExportResult> {
  const pruned = pruneWith(await readGraph(file), options);
  const view = viewOf(pruned);
  return {
    file,
    format: options.format,
    n_nodes: view.nodes.length,
    n_links: view.links.length,
    files:
      options.format === 'neuronpedia'
        ? await writeViewer(pruned, file, options)
        : await writeView(view, options.format, outputOf(file, options)),
  };
}

async function writeViewer(
  pruned: PrunedGraph,
  file: string,
  options: ExportOptions,
): Promise<SavedFileResult[]> {
  const slug = options.slug ?? sanitiseName(path.parse(file).name);
  const viewer = viewerGraph(pruned, { slug, scan: options.scan });
  if (options.graphDir !== undefined) {
    const { graph, metadata } = await writeViewerGraph(options.graphDir, viewer);
    return [await writtenFile(graph), await writtenFile(metadata)];
  }
  const output = outputOf(file, options);
  await writeFileAtomic(output, `${JSON.stringify(viewer)}\n`);
  return [await writtenFile(output)];
}

/** Writes nodes and links. CSV is two tables: `NAME.csv` with the links, and `NAME.nodes.csv`. */
async function writeView(view: GraphView, format: ExportFormat, output: string): Promise<SavedFileResult[]> {
  switch (format) {
    case 'graphml':
      await writeFileAtomic(output, toGraphml(view));
      return [await writtenFile(output)];
    case 'dot':
      await writeFileAtomic(output, toDot(view));
      return [await writtenFile(output)];
    case 'csv': {
      const { dir, name } = path.parse(output);
      const nodes = path.join(dir, `${name}.nodes.csv`);
      await writeFileAtomic(nodes, nodesToCsv(view));
      await writeFileAtomic(output, linksToCsv(view));
      return [await writtenFile(output), await writtenFile(nodes)];
    }
    case 'neuronpedia':
      throw new UsageError({
        code: 'bad_format',
        message: 'a merged graph has no positions, so it cannot be written for the viewer',
        hint: 'Use --format graphml, dot or csv.',
      });
    default:
      return unreachable(format);
  }
}

const EXTENSIONS: Readonly<Record<ExportFormat, string>> = {
  neuronpedia: '.json',
  graphml: '.graphml',
  dot: '.dot',
  csv: '.csv',
};

/** The file named, else one beside the graph with the format's extension. */
function outputOf(file: string, { output, format }: ExportOptions): string {
  if (output !== undefined) return output;
  const { dir, name } = path.parse(file);
  return path.join(dir, name + EXTENSIONS[format]);
}

function pruneWith(graph: Graph, { nodeThreshold, edgeThreshold }: Thresholds): PrunedGraph {
  return pruneGraph(graph, {
    nodeThreshold: nodeThreshold ?? PRUNE_DEFAULTS.nodeThreshold,
    edgeThreshold: edgeThreshold ?? PRUNE_DEFAULTS.edgeThreshold,
  });
}

function count(mask: Uint8Array): number {
  return mask.reduce((sum, kept) => sum + kept, 0);
}
