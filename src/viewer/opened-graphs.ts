/** Viewer: graphs as they were read, the last few kept, so that a hundred requests for one read its file once. */
import { annotationsOf, emptyAnnotations, type Annotations } from '../graph/annotations.ts';
import { withPinned } from '../engine/graph/pinned-nodes.ts';
import { readGraph } from '../graph/files.ts';
import type { Graph } from '../graph/graph.ts';
import { viewerGraph, type ViewerGraph } from '../graph/neuronpedia.ts';
import { pruneGraph, type PruneOptions } from '../graph/prune.ts';
import { readViewerGraph } from '../graph/read-viewer.ts';
import { graphScores, type GraphScores } from '../graph/scores.ts';
import { loadAnnotations } from './annotations-file.ts';
import type { ShelvedGraph } from './shelf.ts';

export type OpenGraph =
  | { readonly kind: 'graph'; readonly graph: Graph; readonly scores: GraphScores }
  | { readonly kind: 'viewer'; readonly viewer: ViewerGraph };

/** Of the files; a graph in memory has about the size of its file. */
const MOST_KEPT_BYTES = 512 * 2 ** 20;

export class OpenedGraphs {
  /** By version of the file, the one that was used last at the end. */
  private readonly kept = new Map<string, { bytes: number; opened: Promise<OpenGraph> }>();

  /** Throws what reading throws. */
  async open({ kind, file, version, bytes }: ShelvedGraph): Promise<OpenGraph> {
    const known = this.kept.get(version);
    this.kept.delete(version);
    const opened = known?.opened ?? (kind === 'graph' ? openGraph(file) : openViewer(file));
    this.kept.set(version, { bytes, opened });
    this.forgetOldest(version);
    try {
      return await opened;
    } catch (error) {
      this.kept.delete(version);
      throw error;
    }
  }

  private forgetOldest(except: string): void {
    let total = 0;
    for (const { bytes } of this.kept.values()) total += bytes;
    for (const [version, { bytes }] of this.kept) {
      if (total <= MOST_KEPT_BYTES || version === except) return;
      this.kept.delete(version);
      total -= bytes;
    }
  }
}

async function openGraph(file: string): Promise<OpenGraph> {
  const graph = await readGraph(file);
  return { kind: 'graph', graph, scores: graphScores(graph) };
}

async function openViewer(file: string): Promise<OpenGraph> {
  return { kind: 'viewer', viewer: await readViewerGraph(file) };
}

/** What is drawn: a graph file pruned as asked, but for what is pinned; a viewer's file as it is. */
export function drawnGraph(
  open: OpenGraph,
  slug: string,
  thresholds: PruneOptions,
  { pinnedIds }: Annotations,
): ViewerGraph {
  if (open.kind === 'viewer') return open.viewer;
  return viewerGraph(withPinned(pruneGraph(open.graph, thresholds), pinnedIds), { slug });
}

/** As they were saved, else as the file brings them along. */
export async function annotationsFor(shelved: ShelvedGraph, open: OpenGraph): Promise<Annotations> {
  const saved = await loadAnnotations(shelved.annotationsFile);
  return saved ?? (open.kind === 'viewer' ? annotationsOf(open.viewer) : emptyAnnotations());
}
