/** Viewer: a cache of the graphs that were read last, so that many requests for one graph read its file once. */
import { annotationsOf, emptyAnnotations, type Annotations } from '../graph/annotations.ts';
import { withPinned } from '../engine/graph/pinned-nodes.ts';
import { readGraph } from '../graph/files.ts';
import type { Graph } from '../graph/graph.ts';
import { viewerGraph, type ViewerGraph } from '../graph/neuronpedia.ts';
import { pruneGraph, type PruneOptions } from '../graph/prune.ts';
import { readViewerGraph } from '../graph/read-viewer.ts';
import { graphScores, type GraphScores } from '../graph/scores.ts';
import { loadAnnotations } from './annotations-file.ts';
import type { StoredGraph } from './graph-store.ts';

export type OpenGraph =
  | { readonly kind: 'graph'; readonly graph: Graph; readonly scores: GraphScores }
  | { readonly kind: 'viewer'; readonly viewer: ViewerGraph };

/** Sum of file sizes; a graph in memory has about the size of its file. */
const LARGEST_CACHE_BYTES = 512 * 2 ** 20;

export class GraphCache {
  /** By version of the file, in the order of the last use. */
  private readonly entries = new Map<string, { bytes: number; opened: Promise<OpenGraph> }>();

  /** Errors are those of reading the file. */
  async open({ kind, file, version, bytes }: StoredGraph): Promise<OpenGraph> {
    const known = this.entries.get(version);
    this.entries.delete(version);
    const opened = known?.opened ?? (kind === 'graph' ? openGraph(file) : openViewer(file));
    this.entries.set(version, { bytes, opened });
    this.dropOldest(version);
    try {
      return await opened;
    } catch (error) {
      this.entries.delete(version);
      throw error;
    }
  }

  private dropOldest(except: string): void {
    let total = 0;
    for (const { bytes } of this.entries.values()) total += bytes;
    for (const [version, { bytes }] of this.entries) {
      if (total <= LARGEST_CACHE_BYTES || version === except) return;
      this.entries.delete(version);
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

/** The nodes and links that are drawn: of a graph file, those within the thresholds and the pinned ones; of a viewer file, all. */
export function drawnGraph(
  open: OpenGraph,
  slug: string,
  thresholds: PruneOptions,
  { pinnedIds }: Pick<Annotations, 'pinnedIds'>,
): ViewerGraph {
  if (open.kind === 'viewer') return open.viewer;
  return viewerGraph(withPinned(pruneGraph(open.graph, thresholds), pinnedIds), { slug });
}

/** The saved annotations, else those in the viewer file. */
export async function annotationsFor(stored: StoredGraph, open: OpenGraph): Promise<Annotations> {
  return (await loadAnnotations(stored.annotationsFile)) ?? annotationsInside(open);
}

/** Whether a person has annotated the graph, be it that everything was unpinned. */
export async function isAnnotated(stored: StoredGraph, open: OpenGraph): Promise<boolean> {
  if ((await loadAnnotations(stored.annotationsFile)) !== null) return true;
  const { pinnedIds, supernodes } = annotationsInside(open);
  return pinnedIds.length > 0 || supernodes.length > 0;
}

function annotationsInside(open: OpenGraph): Annotations {
  return open.kind === 'viewer' ? annotationsOf(open.viewer) : emptyAnnotations();
}
