/** Graph, viewer files: writes a graph and its entry in the list of graphs beside it. */

import path from 'node:path';
import * as v from 'valibot';
import { writeFileAtomic, type AtomicOptions } from '../formats/atomic.ts';
import { readJson } from '../formats/json.ts';
import { acquireLock } from '../formats/lock.ts';
import { NotFoundError } from '../errors.ts';
import { looseJsonObject } from '../formats/json-object.ts';
import type { ViewerGraph, ViewerMetadata } from './neuronpedia.ts';
import { viewerSlug } from './slug.ts';

export const GRAPH_LIST_FILE = 'graph-metadata.json';
const metadataSchema = looseJsonObject({ graphs: v.array(looseJsonObject({ slug: v.string() })) });

export interface ViewerFiles {
  /** The graph's file. */
  readonly graph: string;
  /** The list of graphs in that folder. */
  readonly metadata: string;
}

/**
 * Writes `<slug>.json` into a folder and its entry into `graph-metadata.json`. An existing slug is replaced, unless the options keep
 * existing files, and its entry moves to the end. Both files appear complete or not at all, and concurrent writers keep each other's
 * entries.
 */
export async function writeViewerGraph(
  folder: string,
  graph: ViewerGraph,
  options?: AtomicOptions,
): Promise<ViewerFiles> {
  const file = await writeViewerFile(folder, graph, options);
  return { graph: file, metadata: await listGraphs(folder, [graph.metadata], options) };
}

/** `<slug>.json` alone. */
export async function writeViewerFile(
  folder: string,
  graph: ViewerGraph,
  options?: AtomicOptions,
): Promise<string> {
  const file = path.join(folder, `${viewerSlug(graph.metadata.slug)}.json`);
  await writeFileAtomic(file, `${JSON.stringify(graph)}\n`, options);
  return file;
}

/** Their entries in `graph-metadata.json` alone. */
export async function listGraphs(
  folder: string,
  added: readonly ViewerMetadata[],
  { signal }: AtomicOptions = {},
): Promise<string> {
  const file = path.join(folder, GRAPH_LIST_FILE);
  await using _lock = await acquireLock(`${file}.lock`, { signal });
  const list = await readList(file);
  const replaced = new Set(added.map(({ slug }) => slug));
  const graphs = [...list.graphs.filter(({ slug }) => !replaced.has(slug)), ...added];
  await writeFileAtomic(
    file,
    `${JSON.stringify({ ...list, graphs }, null, 2)}
`,
    { signal },
  );
  return file;
}

/** Slugs that `graph-metadata.json` of a folder lists; none without one. */
export async function listedSlugs(folder: string): Promise<ReadonlySet<string>> {
  return new Set((await readList(path.join(folder, GRAPH_LIST_FILE))).graphs.map(({ slug }) => slug));
}

async function readList(file: string): Promise<v.InferOutput<typeof metadataSchema>> {
  try {
    return await readJson(file, metadataSchema);
  } catch (error) {
    if (error instanceof NotFoundError) return { graphs: [] };
    throw error;
  }
}
