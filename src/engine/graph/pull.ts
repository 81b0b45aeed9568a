/** Engine, verb `graph pull`: a graph that is published on Neuronpedia, as a file of this machine. */
import path from 'node:path';
import { BadFileError, NotFoundError, UsageError } from '../../errors.ts';
import { checkWritable, FILE_EXISTS, writeFileAtomic } from '../../formats/atomic.ts';
import {
  annotationsPath,
  isAnnotationsFile,
  writeAnnotations,
  type Annotations,
} from '../../graph/annotations.ts';
import { writeGraph } from '../../graph/files.ts';
import type { ViewerGraph } from '../../graph/neuronpedia.ts';
import { isViewerFile, parseViewerGraph } from '../../graph/read-viewer.ts';
import { asciiName } from '../../graph/slug.ts';
import { graphRecord, graphText, type GraphRecord } from '../../neuronpedia/graphs.ts';
import type { NeuronpediaHttp } from '../../neuronpedia/http.ts';
import { graphPage, parseGraphLink, withoutQuery, type GraphLink } from '../../neuronpedia/link.ts';
import { neuronpediaSource, setOfSource, type KnownSet } from '../../neuronpedia/sources.ts';
import { listSubgraphs } from '../../neuronpedia/subgraphs.ts';
import { writtenFile } from '../written-file.ts';
import { neuronpediaClient } from './neuronpedia-client.ts';
import type { PullRequest, PullResult } from './neuronpedia-types.ts';
import { publishedAnnotations } from './published-annotations.ts';
import { graphOfPublished, type PublishedAs } from './published-graph.ts';

/**
 * Fetches and checks everything before it writes. Throws `UsageError` for what is no link or no name of a file, `NotFoundError`
 * for a graph or subgraph that is not there, `BadFileError` for what is no graph, and `NetworkError`.
 */
export async function pullGraph(request: PullRequest): Promise<PullResult> {
  const { output, signal, onProgress } = request;
  await checkOutput(output);
  const http = neuronpediaClient(request);
  const link = parseGraphLink(request.link, http.address);
  const record = link.place.kind === 'json' ? null : await recordOf(http, link.place, request);
  onProgress?.({ kind: 'progress', phase: 'pull', message: 'Fetching the graph' });
  const url = record?.url ?? (link.place as { url: string }).url;
  const text = await graphText(http, url, { signal });
  const published = readPublished(`the answer to ${http.describe({ url })}`, text);
  const source = sourceOf(published, record);
  const viewer = withKnownScan(published, source);
  const own = await ownSubgraphs(http, record, request);
  const found = await publishedAnnotations({ http, link, record, viewer, own, request });
  const { held, missing } = found;
  const page = record
    ? graphPage(http.address, { model: record.modelId, slug: record.slug })
    : withoutQuery(new URL(url));
  const annotations = await write(request, viewer, found.from === null ? null : held, {
    page,
    names: source.known ?? { transcoders: viewer.metadata.scan, model: record?.modelId ?? '' },
  });
  return {
    link: page,
    model: record?.modelId ?? null,
    slug: viewer.metadata.slug,
    scan: viewer.metadata.scan,
    prompt: viewer.metadata.prompt,
    n_nodes: viewer.nodes.length,
    n_links: viewer.links.length,
    annotations:
      found.from === null
        ? null
        : {
            from: found.from,
            n_pinned: held.pinnedIds.length,
            n_supernodes: held.supernodes.length,
            n_labels: Object.keys(held.clerps).length,
            is_written: annotations === 'written',
          },
    missing_ids: missing,
    own_subgraphs: own.map(({ id, displayName }) => ({ id, name: displayName })),
    files: [
      await writtenFile(output),
      ...(annotations === 'written' ? [await writtenFile(annotationsPath(output))] : []),
    ],
  };
}

/** Before anything is fetched. A name of annotations would replace those of another graph. */
async function checkOutput(output: string): Promise<void> {
  const isNamed = ['.json', '.safetensors'].includes(path.extname(output).toLowerCase());
  if (isNamed && !isAnnotationsFile(output)) return await checkWritable(output);
  throw new UsageError({
    code: 'bad_value',
    message: `--output: a name that ends in .safetensors or .json is expected, found '${output}'`,
    hint: 'Give NAME.safetensors for a graph file, or NAME.json for the file as it is published.',
  });
}

async function recordOf(
  http: NeuronpediaHttp,
  name: Extract<GraphLink['place'], { kind: 'record' }>,
  { signal }: PullRequest,
): Promise<GraphRecord> {
  const record = await graphRecord(http, name, { signal });
  if (record !== null) return record;
  throw new NotFoundError({
    code: 'graph_not_found',
    message: `${http.address.host} has no graph '${name.slug}' of the model '${name.model}'`,
    hint: 'Open the link in a browser to see whether it is there, and copy the address from there.',
  });
}

async function ownSubgraphs(http: NeuronpediaHttp, record: GraphRecord | null, { signal }: PullRequest) {
  if (record === null || http.address.key === undefined) return [];
  return await listSubgraphs(http, { model: record.modelId, slug: record.slug }, 'own', { signal });
}

function readPublished(what: string, text: string): ViewerGraph {
  try {
    return parseViewerGraph(what, text);
  } catch (error) {
    if (!(error instanceof BadFileError)) throw error;
    const { code, message, cause } = error;
    const hint =
      'Open the link in a browser to see whether it shows a graph, and copy the address from there.';
    throw new BadFileError({ code, message, hint, cause });
  }
}

/** The set whose features these are, as far as the site or the file says. */
function sourceOf(
  { metadata }: ViewerGraph,
  record: GraphRecord | null,
): { readonly set: string | undefined; readonly known: KnownSet | null } {
  const model = record?.modelId ?? metadata.scan;
  const set = record?.sourceSetName || metadata.feature_details?.neuronpedia_source_set;
  if (set) return { set, known: setOfSource({ model, set }) };
  // Older graphs do not say: the site has pages of one set for them.
  const source = neuronpediaSource(metadata.scan);
  return { set: undefined, known: source && setOfSource(source) };
}

/** Labels and pages here are found by the name of the set, the site has that of the model. */
function withKnownScan(
  { metadata, ...graph }: ViewerGraph,
  { set, known }: ReturnType<typeof sourceOf>,
): ViewerGraph {
  const details = set === undefined ? {} : { feature_details: { neuronpedia_source_set: set } };
  return { ...graph, metadata: { ...metadata, scan: known?.scan ?? metadata.scan, ...details } };
}

/** The graph first: annotations beside none would belong to nothing. What a person has annotated stays. */
async function write(
  request: PullRequest,
  viewer: ViewerGraph,
  annotations: Annotations | null,
  { page, names }: PublishedAs,
): Promise<'written' | 'kept' | null> {
  const { output, signal, onProgress } = request;
  let own = annotations;
  if (isViewerFile(output)) {
    const { pinnedIds = [], supernodes = [] } = annotations ?? {};
    const { tracer_positions: _there, ...qParams } = viewer.qParams;
    const metadata = { ...viewer.metadata, scan: asciiName(viewer.metadata.scan) };
    const file = { ...viewer, metadata, qParams: { ...qParams, pinnedIds, supernodes, sg_pos: '' } };
    await writeFileAtomic(output, `${JSON.stringify(file)}\n`, { signal });
  } else {
    const published = await graphOfPublished(viewer, { page, names }, request);
    await writeGraph(output, published.graph, { signal });
    own = annotations && published.renamed(annotations);
  }
  if (own === null) return null;
  const file = annotationsPath(output);
  try {
    await writeAnnotations(file, { ...own, notes: `Published at ${page}` }, { signal, existing: 'keep' });
    return 'written';
  } catch (error) {
    if (!(error instanceof UsageError) || error.code !== FILE_EXISTS) throw error;
    const message = `${file} is there already and stays as it is: the published pins and supernodes are not written`;
    onProgress?.({ kind: 'warning', message });
    return 'kept';
  }
}
