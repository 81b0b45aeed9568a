/** Engine: a graph as it is drawn, from a graph file or viewer JSON, with annotations and the data of its transcoder set. */
import {
  annotationsOf,
  annotationsPath,
  emptyAnnotations,
  readAnnotations,
} from '../../graph/annotations.ts';
import type { Annotations } from '../../graph/annotations.ts';
import { viewerGraph, type ViewerGraph } from '../../graph/neuronpedia.ts';
import { pruneGraph, type PruneOptions } from '../../graph/prune.ts';
import { graphScores, type GraphScores } from '../../graph/scores.ts';
import { asciiName, viewerSlug } from '../../graph/slug.ts';
import { makePicture } from '../../picture/picture.ts';
import { keepVisible, visibleAt } from '../../picture/visible.ts';
import { graphInMemory, type GraphInMemory } from './in-memory.ts';
import { withPinned } from './pinned-nodes.ts';

export interface DrawnGraph {
  readonly kind: 'graph' | 'viewer';
  /** Its name; the viewer graph has it in the characters that viewers accept. */
  readonly slug: string;
  readonly viewer: ViewerGraph;
  readonly annotations: Annotations;
  /** Of the whole graph; null for viewer JSON, which lacks the data they are computed from. */
  readonly scores: GraphScores | null;
  /** Location of its set, as far as the file can be trusted with it. */
  readonly set: { readonly name: string; readonly revision: string } | undefined;
  readonly scan: string;
}

export interface DrawnOptions extends PruneOptions {
  readonly slug: string;
  readonly scan?: string | undefined;
}

/** Reads a file and the annotations beside it. Throws `NotFoundError` and `BadFileError`. */
export async function openDrawnGraph(file: string, options: DrawnOptions): Promise<DrawnGraph> {
  const saved = await readAnnotations(annotationsPath(file));
  return drawnGraph(await graphInMemory(file), saved, options);
}

/**
 * A graph file is pruned; a viewer's file is pruned already, and only pruned further when a threshold is given; pinned nodes are
 * kept in both.
 * @param saved null: those of the file itself
 */
export function drawnGraph(
  read: GraphInMemory,
  saved: Annotations | null,
  options: DrawnOptions,
): DrawnGraph {
  if (read.kind === 'viewer') {
    const whole = read.viewer;
    const annotations = saved ?? annotationsOf(whole);
    const viewer = prunedFurther(whole, annotations, options);
    return {
      kind: 'viewer',
      slug: options.slug,
      viewer: {
        ...viewer,
        metadata: {
          ...viewer.metadata,
          scan: options.scan === undefined ? viewer.metadata.scan : asciiName(options.scan),
          slug: viewerSlug(options.slug),
        },
      },
      annotations,
      scores: null,
      set: undefined,
      scan: whole.metadata.scan,
    };
  }
  const { graph } = read;
  const annotations = saved ?? emptyAnnotations();
  const { name, revision } = graph.provenance.transcoders;
  return {
    kind: 'graph',
    slug: options.slug,
    viewer: viewerGraph(withPinned(pruneGraph(graph, options), annotations.pinnedIds), options),
    annotations,
    scores: graphScores(graph),
    // An untrusted file must not choose which local folder is read: only a set with a commit is used.
    set: revision === null ? undefined : { name, revision },
    scan: graph.provenance.scan,
  };
}

export function prunedFurther(
  graph: ViewerGraph,
  { pinnedIds }: Annotations,
  { nodeThreshold, edgeThreshold }: PruneOptions,
): ViewerGraph {
  if (nodeThreshold === undefined && edgeThreshold === undefined) return graph;
  const picture = makePicture(graph);
  const [node_threshold, edge_threshold] = [
    Math.min(nodeThreshold ?? 1, picture.nodeThreshold),
    Math.min(edgeThreshold ?? 1, picture.edgeThreshold),
  ];
  const pinned = pinnedIds.flatMap((id) => picture.indexById.get(id) ?? []);
  const visible = keepVisible(picture, visibleAt(picture, node_threshold, edge_threshold), pinned);
  const seenLinks = new Set<string>();
  visible.links.forEach((seen, link) => {
    if (seen === 1) seenLinks.add(`${picture.source[link]!} ${picture.target[link]!}`);
  });
  const indexOf = (id: string): number => picture.indexById.get(id)!;
  return {
    ...graph,
    metadata: { ...graph.metadata, node_threshold, pruning_settings: { node_threshold, edge_threshold } },
    nodes: graph.nodes.filter((_, index) => visible.nodes[index] === 1),
    links: graph.links.filter(({ source, target }) => seenLinks.has(`${indexOf(source)} ${indexOf(target)}`)),
  };
}
