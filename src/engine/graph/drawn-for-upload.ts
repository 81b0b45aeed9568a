/** Engine: a graph as it is published, with the annotations that go with it. */
import { emptyAnnotations } from '../../graph/annotations.ts';
import { markedAnnotations } from '../../suggest/annotate.ts';
import { openFeatureSource } from '../features/source.ts';
import { drawnGraph, openDrawnGraph, type DrawnGraph } from './drawn-graph.ts';
import { graphInMemory } from './in-memory.ts';
import type { UploadedSubgraph, UploadRequest } from './neuronpedia-types.ts';
import { suggestFor, suggestibleOf } from './suggestible.ts';

export interface DrawnForUpload extends DrawnGraph {
  readonly which: UploadedSubgraph;
}

/** Reads the file once. Throws `UsageError` where there is nothing to suggest, and as `openDrawnGraph`. */
export async function drawnForUpload(
  request: UploadRequest & { readonly slug: string },
): Promise<DrawnForUpload> {
  const { subgraph = 'annotated' } = request;
  switch (subgraph) {
    case 'annotated':
      return { ...(await openDrawnGraph(request.file, request)), which: subgraph };
    case 'none':
      return {
        ...drawnGraph(await graphInMemory(request.file), emptyAnnotations(), request),
        which: subgraph,
      };
    case 'suggested':
      return { ...(await withSuggestion(request)), which: subgraph };
  }
}

async function withSuggestion(request: UploadRequest & { readonly slug: string }): Promise<DrawnGraph> {
  const { file, cacheDir } = request;
  const open = await graphInMemory(file);
  const opened = suggestibleOf(file, open, request);
  const { scan, set } = opened;
  const source = await openFeatureSource({ scan, set, cacheDir, offline: true });
  const { circuit } = await suggestFor(opened, (features) => source.known(features));
  // What a person has pinned is neither shown nor changed.
  return drawnGraph(open, markedAnnotations(circuit), request);
}
