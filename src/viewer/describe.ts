/** Viewer: what the list of graphs shows of a file, read from its header or metadata only. */
import * as v from 'valibot';
import type { ManifestEntry } from '../engine/attribute/manifest.ts';
import { jsonObject } from '../formats/json-object.ts';
import { parseJson, readJson } from '../formats/json.ts';
import { openSafetensors } from '../formats/safetensors.ts';
import type { GraphEntry } from './api.ts';

export type Description = Pick<GraphEntry, 'kind' | 'prompt' | 'scan' | 'created_ms' | 'problem'>;
export type ListFacts = Pick<GraphEntry, 'n_nodes' | 'scores' | 'metadata'>;

export const NO_FACTS: ListFacts = { n_nodes: null, scores: null, metadata: {} };

const text = v.fallback(v.string(), '');
const Metadata = jsonObject({
  slug: text,
  prompt: text,
  scan: text,
  info: v.fallback(jsonObject({ create_time_ms: v.fallback(v.nullable(v.number()), null) }), {
    create_time_ms: null,
  }),
});
type Metadata = v.InferOutput<typeof Metadata>;

const GraphList = jsonObject({ graphs: v.array(Metadata) });
const Provenance = jsonObject({ prompt: text, scan: text, created: text });
/** Enough to tell a viewer file from other JSON; the rest is checked when the graph is opened. */
const ViewerFile = v.union([
  jsonObject({ metadata: Metadata, nodes: v.array(v.unknown()), links: v.array(v.unknown()) }),
  v.pipe(
    v.unknown(),
    v.transform(() => null),
  ),
]);

/** Entries of a folder's list, by slug. A list that cannot be read counts as empty, since each file has its own metadata. */
export async function readGraphList(file: string): Promise<ReadonlyMap<string, Metadata>> {
  try {
    const { graphs } = await readJson(file, GraphList);
    return new Map(graphs.map((metadata) => [metadata.slug, metadata]));
  } catch {
    return new Map();
  }
}

/** A viewer file by its entry in the folder's list. */
export function describeListed({ prompt, scan, info }: Metadata): Description {
  return { kind: 'viewer', prompt, scan, created_ms: info.create_time_ms, problem: null };
}

/** A graph by its line in a manifest; undefined where that does not say enough. */
export function describeTraced(
  { prompt, scan, n_nodes }: ManifestEntry,
  kind: GraphEntry['kind'],
): Description | undefined {
  if (scan === undefined || n_nodes === undefined) return undefined;
  return { kind, prompt, scan, created_ms: null, problem: null };
}

export function factsOf({ n_nodes, scores, metadata }: ManifestEntry): ListFacts {
  return { n_nodes: n_nodes ?? null, scores, metadata };
}

/** Null for JSON that is not a graph. */
export async function describeViewerFile(file: string): Promise<Description | null> {
  const viewer = await readJson(file, ViewerFile);
  return viewer && describeListed(viewer.metadata);
}

/** From its header alone; null for other tensors, such as those of a model. */
export async function describeGraphFile(file: string): Promise<Description | null> {
  using tensors = await openSafetensors(file);
  if (tensors.metadata['format'] !== 'tracer.graph') return null;
  const { prompt, scan, created } = parseJson(
    `${file}, metadata provenance`,
    tensors.metadata['provenance'] ?? '{}',
    v.fallback(Provenance, { prompt: '', scan: '', created: '' }),
  );
  const createdMs = Date.parse(created);
  return {
    kind: 'graph',
    prompt,
    scan,
    created_ms: Number.isNaN(createdMs) ? null : createdMs,
    problem: null,
  };
}
