/** Engine: a graph of either kind of file, as it was read: the graph file, or a viewer's JSON. */
import { readGraph } from '../../graph/files.ts';
import type { Graph } from '../../graph/graph.ts';
import type { ViewerGraph } from '../../graph/neuronpedia.ts';
import { isViewerFile, readViewerGraph } from '../../graph/read-viewer.ts';

export type GraphInMemory =
  | { readonly kind: 'graph'; readonly graph: Graph }
  | { readonly kind: 'viewer'; readonly viewer: ViewerGraph };

/** Throws `NotFoundError` and `BadFileError`. */
export async function graphInMemory(file: string): Promise<GraphInMemory> {
  return isViewerFile(file)
    ? { kind: 'viewer', viewer: await readViewerGraph(file) }
    : { kind: 'graph', graph: await readGraph(file) };
}
