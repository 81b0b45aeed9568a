/** Engine, verb `graph upload`: publishes a graph on Neuronpedia, with its pins and supernodes as a saved subgraph. */
import path from 'node:path';
import { NotFoundError, TracerError, UsageError } from '../../errors.ts';
import { withAnnotations, type Annotations } from '../../graph/annotations.ts';
import type { ViewerGraph } from '../../graph/neuronpedia.ts';
import { asciiName } from '../../graph/slug.ts';
import { ACCOUNT_PAGE, NEURONPEDIA_ENVIRONMENT } from '../../neuronpedia/address.ts';
import { siteAnnotations, type SiteAnnotations } from '../../neuronpedia/annotations.ts';
import { checkForUpload } from '../../neuronpedia/graph-schema.ts';
import { graphRecord, packGraph, publishGraph, type PublishSteps } from '../../neuronpedia/graphs.ts';
import type { NeuronpediaHttp } from '../../neuronpedia/http.ts';
import { graphPage, type GraphName } from '../../neuronpedia/link.ts';
import { isModelId } from '../../neuronpedia/source-name.ts';
import { neuronpediaSource, type NeuronpediaSource } from '../../neuronpedia/sources.ts';
import { saveSubgraph } from '../../neuronpedia/subgraphs.ts';
import { drawnForUpload } from './drawn-for-upload.ts';
import { knownFeatures } from './known-features.ts';
import { neuronpediaClient } from './neuronpedia-client.ts';
import type { UploadRequest, UploadResult } from './neuronpedia-types.ts';

/** What the site's slider for dense features is set to in a saved subgraph: its own default. */
const DENSITY_THRESHOLD = 0.99;
type PublishStep = Parameters<NonNullable<PublishSteps['onStep']>>[0];
const STEP_WORDS = {
  sign: 'Asking Neuronpedia for an address',
  send: 'Sending the graph',
  save: 'Neuronpedia checks and saves the graph',
  confirm: 'Asking whether it is there',
} as const;

/**
 * Checks everything that can be checked here before the first request. Throws `UsageError` for names that the site refuses or
 * has already, `BadFileError` for a graph that it could not show, `NotFoundError` without a key or for a model that it does not
 * have, and `NetworkError`. Only a graph that the site lists is called published.
 */
export async function uploadGraph(request: UploadRequest): Promise<UploadResult> {
  const { file, signal } = request;
  checkSubgraphName(request);
  const http = neuronpediaClient(request);
  const slug = request.slug ?? asciiName(path.parse(file).name).replaceAll('.', '-');
  const drawn = await drawnForUpload({ ...request, slug });
  const source = sourceOf(drawn.viewer, drawn.scan, request.modelId);
  const model = request.modelId ?? source?.model ?? modelOf(file, drawn.kind, drawn.viewer);
  checkModelId(model);
  const { held, missing } = siteAnnotations(drawn.annotations, drawn.viewer);
  const labels = await (await knownFeatures(drawn, request.cacheDir)).labels();
  const graph = siteGraph(
    withAnnotations(drawn.viewer, ofNodes(drawn.annotations, held, drawn.viewer), labels),
    {
      model,
      slug,
      set: source?.model === model ? source.set : undefined,
    },
  );
  checkForUpload(file, graph);
  const text = JSON.stringify(graph);
  const packed = await packGraph(text);
  const ids = new Set(graph.nodes.map(({ node_id }) => node_id));
  const labelled = Object.keys(drawn.annotations.clerps).filter((id) => ids.has(id));
  const hasSubgraph = held.pinnedIds.length > 0 || held.supernodes.length > 0;
  const subgraphName = request.subgraphName ?? `${slug} (${drawn.which})`;
  const result = {
    file,
    site: http.address.baseUrl,
    model,
    slug,
    source_set: graph.metadata.feature_details?.neuronpedia_source_set ?? null,
    prompt: graph.metadata.prompt,
    n_nodes: graph.nodes.length,
    n_links: graph.links.length,
    bytes: Buffer.byteLength(text),
    sent_bytes: packed.bytes.length,
    missing_ids: missing,
  };
  const subgraph = {
    name: subgraphName,
    n_pinned: held.pinnedIds.length,
    n_supernodes: held.supernodes.length,
    n_labels: labelled.length,
  };
  if (request.dryRun) {
    const planned = hasSubgraph ? { ...subgraph, id: null, is_replaced: false } : null;
    return { ...result, dry_run: true, subgraph: planned, link: null, json: null };
  }
  requireKey(http);
  const name = { model, slug };
  if (request.replace !== true) await refuseExisting(http, name, request);
  const { page, json } = await publish(http, name, packed, request);
  if (!hasSubgraph) return { ...result, dry_run: false, subgraph: null, link: page, json };
  request.onProgress?.({ kind: 'progress', phase: 'upload', message: 'Saving pins and supernodes' });
  const { node_threshold } = graph.metadata;
  const content = {
    ...held,
    displayName: subgraphName,
    pruningThreshold: node_threshold,
    densityThreshold: DENSITY_THRESHOLD,
  };
  const saved = await saveSubgraph(http, name, content, { signal }).catch((error: unknown) => {
    throw withoutSubgraph(error, page, request);
  });
  return {
    ...result,
    dry_run: false,
    subgraph: { ...subgraph, id: saved.id, is_replaced: saved.isReplaced },
    link: graphPage(http.address, name, saved.id),
    json,
  };
}

/** The source whose pages the site shows for the features: what a pulled file says, else what is known of the set. */
function sourceOf(
  { metadata }: ViewerGraph,
  scan: string,
  modelId: string | undefined,
): NeuronpediaSource | null {
  const known = neuronpediaSource(scan);
  const set = metadata.feature_details?.neuronpedia_source_set;
  const model = modelId ?? known?.model ?? metadata.scan;
  return set === undefined ? known : { model, set };
}

function checkSubgraphName({ subgraph, subgraphName }: UploadRequest): void {
  if (subgraphName === undefined) return;
  const isEmpty = subgraphName.trim() === '';
  if (!isEmpty && subgraph !== 'none') return;
  throw new UsageError({
    code: 'bad_subgraph_name',
    message: isEmpty
      ? '--subgraph-name is empty'
      : '--subgraph-name names what is saved, and --subgraph none saves nothing',
    hint: 'Give it a name, or leave --subgraph-name out.',
  });
}

/** A viewer's file has the site's name as its scan; a graph file has that of a set. */
function modelOf(file: string, kind: 'graph' | 'viewer', { metadata }: ViewerGraph): string {
  if (kind === 'viewer' && metadata.scan !== '') return metadata.scan;
  throw new UsageError({
    code: 'no_model_id',
    message: `${file} was made with '${metadata.scan}', of which no model on Neuronpedia is known`,
    hint: 'Give --model-id NAME: the part of the address of its page, such as gemma-2-2b.',
  });
}

function checkModelId(model: string): void {
  if (isModelId(model)) return;
  throw new UsageError({
    code: 'bad_model_id',
    message: `'${model}' is no name of a model on Neuronpedia`,
    hint: 'Give --model-id NAME: the part of the address of its page, such as gemma-2-2b.',
  });
}

/** Labels of logits stay out of the nodes: the site's page reads the probability from there. The saved subgraph has all. */
function ofNodes(annotations: Annotations, held: SiteAnnotations, { nodes }: ViewerGraph): Annotations {
  const logits = new Set(nodes.flatMap((node) => (node.feature_type === 'logit' ? [node.node_id] : [])));
  const clerps = Object.entries(annotations.clerps).filter(([id]) => !logits.has(id));
  return {
    ...annotations,
    pinnedIds: held.pinnedIds,
    supernodes: held.supernodes,
    clerps: Object.fromEntries(clerps),
  };
}

function siteGraph(
  graph: ViewerGraph,
  { model, slug, set }: GraphName & { set: string | undefined },
): ViewerGraph {
  const { feature_details: _replaced, ...metadata } = graph.metadata;
  const details = set === undefined ? {} : { feature_details: { neuronpedia_source_set: set } };
  return { ...graph, metadata: { ...metadata, slug, scan: model, ...details } };
}

function requireKey({ address: { key, baseUrl } }: NeuronpediaHttp): void {
  if (key !== undefined) return;
  const variable = NEURONPEDIA_ENVIRONMENT.key;
  throw new NotFoundError({
    code: 'no_key',
    message: `${variable} is not set: Neuronpedia takes graphs of accounts only`,
    hint: `Set it to the key on ${baseUrl}${ACCOUNT_PAGE}; --dry-run checks the graph without one.`,
  });
}

/** A file that is sent replaces one of the same name at once, before the site has checked it. */
async function refuseExisting(
  http: NeuronpediaHttp,
  name: GraphName,
  { signal }: UploadRequest,
): Promise<void> {
  if ((await graphRecord(http, name, { signal })) === null) return;
  throw new UsageError({
    code: 'slug_exists',
    message: `${name.model} has a graph '${name.slug}' on Neuronpedia already: ${graphPage(http.address, name)}`,
    hint: 'Give another name with --slug, or --replace if it is yours.',
  });
}

async function publish(
  http: NeuronpediaHttp,
  name: GraphName,
  packed: Awaited<ReturnType<typeof packGraph>>,
  { signal, onProgress }: UploadRequest,
): ReturnType<typeof publishGraph> {
  let step: PublishStep | undefined;
  try {
    return await publishGraph(http, name, packed, {
      signal,
      onStep: (next) => {
        step = next;
        onProgress?.({ kind: 'progress', phase: 'upload', message: STEP_WORDS[next] });
      },
    });
  } catch (error) {
    if (mayBePublished(step, error, signal)) {
      const message = `the graph was sent, and may be published: see ${graphPage(http.address, name)}`;
      onProgress?.({ kind: 'warning', message });
    }
    throw error;
  }
}

/** The site publishes when it is told to save: without an answer that can be read, nobody knows whether it did. */
function mayBePublished(step: PublishStep | undefined, error: unknown, signal?: AbortSignal): boolean {
  const code = error instanceof TracerError ? error.code : undefined;
  if (step === 'confirm') return code !== 'not_published'; // which says so itself
  if (step !== 'save') return false;
  return (
    signal?.aborted === true || ['network_failed', 'bad_answer', 'answer_too_large'].includes(code ?? '')
  );
}

function withoutSubgraph(error: unknown, page: string, { signal, onProgress }: UploadRequest): unknown {
  const published = `the graph is published at ${page}, but its pins and supernodes are not saved`;
  if (!(error instanceof TracerError)) {
    if (signal?.aborted) onProgress?.({ kind: 'warning', message: published });
    return error;
  }
  return new TracerError(error.exitCode, {
    code: error.code,
    message: `${published}: ${error.message}`,
    hint: 'The same command with --replace does both again.',
    cause: error,
  });
}
