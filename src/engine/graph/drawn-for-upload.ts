/** Engine: a graph as it is published, with the annotations that go with it. */
import { emptyAnnotations, type Annotations } from '../../graph/annotations.ts';
import { viewerGraph } from '../../graph/neuronpedia.ts';
import { markedAnnotations } from '../../suggest/annotate.ts';
import { openFeatureSource } from '../features/source.ts';
import { openDrawnGraph, type DrawnGraph } from './drawn-graph.ts';
import type { UploadedSubgraph, UploadRequest } from './neuronpedia-types.ts';
import { withPinned } from './pinned-nodes.ts';
import { openSuggestible, suggestFor } from './suggestible.ts';

export interface DrawnForUpload extends DrawnGraph {
  readonly which: UploadedSubgraph;
}

/** Throws `UsageError` where there is nothing to suggest, and as `openDrawnGraph`. */
export async function drawnForUpload(
  request: UploadRequest & { readonly slug: string },
): Promise<DrawnForUpload> {
  const { subgraph = 'annotated' } = request;
  const drawn = await openDrawnGraph(request.file, request);
  switch (subgraph) {
    case 'annotated':
      return { ...drawn, which: subgraph };
    case 'none':
      return { ...drawn, which: subgraph, annotations: emptyAnnotations() };
    case 'suggested':
      return { ...(await withSuggestion(request, drawn)), which: subgraph };
  }
}

async function withSuggestion(
  request: UploadRequest & { readonly slug: string },
  drawn: DrawnGraph,
): Promise<DrawnGraph> {
  const { file, cacheDir } = request;
  const opened = await openSuggestible(file, request);
  const { scan, set } = opened;
  const source = await openFeatureSource({ scan, set, cacheDir, offline: true });
  const { circuit } = await suggestFor(opened, (features) => source.known(features));
  // What a person has pinned is neither shown nor changed.
  const annotations: Annotations = markedAnnotations(circuit);
  const viewer = opened.viewer
    ? drawn.viewer
    : viewerGraph(withPinned(opened.pruned, annotations.pinnedIds), request);
  return { ...drawn, viewer, annotations };
}
