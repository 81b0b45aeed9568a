/** Engine: output files of a graph: their paths, whether they can be written, and whether they exist already. */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import * as v from 'valibot';
import { BadFileError, NotFoundError, UsageError } from '../../errors.ts';
import { jsonObject } from '../../formats/json-object.ts';
import { checkWritable, FILE_EXISTS, refuseExisting, type AtomicOptions } from '../../formats/atomic.ts';
import { parseJson, readJson } from '../../formats/json.ts';
import { openSafetensors } from '../../formats/safetensors.ts';
import { annotationsPath } from '../../graph/annotations.ts';
import { writeGraph } from '../../graph/files.ts';
import type { Graph, Provenance } from '../../graph/graph.ts';
import { viewerGraph } from '../../graph/neuronpedia.ts';
import { keptGraph } from '../../graph/kept-graph.ts';
import type { PrunedGraph } from '../../graph/prune.ts';
import { graphScores } from '../../graph/scores.ts';
import { asciiName, viewerSlug } from '../../graph/slug.ts';
import { GRAPH_LIST_FILE, writeViewerGraph } from '../../graph/viewer-files.ts';
import { ATTRIBUTE_DEFAULTS, type AttributeRequest } from './types.ts';
import type { SavedFileResult } from '../result.ts';
import { writtenFile } from '../written-file.ts';

/** The options of a request that name output files. */
export type OutputOptions = Pick<AttributeRequest, 'output' | 'graphDir' | 'slug' | 'resume'>;

/** Refuses outputs that cannot be written before anything is computed. */
export async function checkOutputs(options: OutputOptions): Promise<void> {
  const { output, graphDir, slug } = options;
  if ((graphDir === undefined) !== (slug === undefined)) {
    throw new UsageError({
      code: 'slug_and_folder',
      message:
        graphDir === undefined
          ? '--slug names a graph in --graph-dir, which is missing'
          : '--graph-dir needs --slug',
      hint: 'Give both: --graph-dir graphs --slug dallas.',
    });
  }
  if (output !== undefined) await checkWritable(output);
  if (graphDir !== undefined && slug !== undefined) {
    await checkWritable(path.join(graphDir, `${viewerSlug(slug)}.json`));
  }
  rowsPath(options);
}

/** The file that keeps rows until the graph is complete: beside the graph file, or beside the viewer's. */
export function rowsPath({ output, graphDir, slug, resume }: OutputOptions): string | undefined {
  if (!resume) return undefined;
  if (output !== undefined) return `${output}.rows`;
  if (graphDir !== undefined && slug !== undefined) return path.join(graphDir, `${viewerSlug(slug)}.rows`);
  throw new UsageError({
    code: 'nowhere_to_resume',
    message: '--resume keeps rows beside the file that is written, but no file is written',
    hint: 'Give --output, or --graph-dir and --slug.',
  });
}

type WriteOptions = Pick<
  AttributeRequest,
  'output' | 'graphDir' | 'slug' | 'scan' | 'signal' | 'keepExisting' | 'store'
>;

export async function writeGraphFiles(
  graph: Graph,
  pruned: PrunedGraph,
  options: WriteOptions,
  labels: Readonly<Record<string, string>>,
): Promise<SavedFileResult[]> {
  if (!options.keepExisting) return await writeTo(options, graph, pruned, labels);
  for (let count = 1; ; count++) {
    try {
      return await writeTo({ ...options, ...numbered(options, count) }, graph, pruned, labels);
    } catch (error) {
      if (!(error instanceof UsageError && error.code === FILE_EXISTS)) throw error;
    }
  }
}

async function writeTo(
  options: WriteOptions,
  graph: Graph,
  pruned: PrunedGraph,
  labels: Readonly<Record<string, string>>,
): Promise<SavedFileResult[]> {
  const { output, graphDir, slug, scan, signal, keepExisting, store } = options;
  const atomic: AtomicOptions = { signal, existing: keepExisting ? 'keep' : 'replace' };
  if (keepExisting) await refuseAnnotations(options);
  const written: string[] = [];
  const stored = store === 'nodes' ? keptGraph(pruned, graphScores(graph)) : graph;
  if (output !== undefined) {
    await writeGraph(output, stored, atomic);
    written.push(output);
  }
  if (graphDir !== undefined && slug !== undefined) {
    try {
      const files = await writeViewerGraph(graphDir, viewerGraph(pruned, { slug, scan, labels }), atomic);
      written.push(files.graph, files.metadata);
    } catch (error) {
      // The graph file was just created; without the viewer file the result is not complete.
      if (keepExisting && output !== undefined) await rm(output, { force: true });
      throw error;
    }
  }
  return await Promise.all(written.map(writtenFile));
}

/** `dallas`, then `dallas-2`, in both names, since equal names show that the files belong to one graph. */
function numbered({ output, slug }: WriteOptions, count: number): Pick<WriteOptions, 'output' | 'slug'> {
  if (count === 1) return { output, slug };
  const { dir, name, ext } = path.parse(output ?? '');
  return {
    output: output === undefined ? undefined : path.join(dir, `${name}-${count}${ext}`),
    slug: slug === undefined ? undefined : `${slug}-${count}`,
  };
}

/** Annotations of a deleted graph must not be taken for those of a new one of the same name. Throws as for a file that exists. */
async function refuseAnnotations({ output, graphDir, slug }: WriteOptions): Promise<void> {
  if (output !== undefined) await refuseExisting(annotationsPath(output));
  if (graphDir === undefined || slug === undefined) return;
  await refuseExisting(annotationsPath(path.join(graphDir, `${viewerSlug(slug)}.json`)));
}

/**
 * The files of a graph when all of them are there and were made from the same prompt with the same model, set and options;
 * undefined when anything is missing or different. `wanted` is the provenance that a graph made now would have.
 */
export async function finishedFiles(
  { output, graphDir, slug, scan, nodeThreshold, edgeThreshold }: AttributeRequest,
  wanted: Provenance,
): Promise<SavedFileResult[] | undefined> {
  const files: string[] = [];
  if (output !== undefined) {
    const found = await readIfThere(() => graphOrigin(output));
    if (!isDeepStrictEqual(found, origin(wanted))) return undefined;
    files.push(output);
  }
  if (graphDir !== undefined && slug !== undefined) {
    const list = path.join(graphDir, GRAPH_LIST_FILE);
    const name = viewerSlug(slug);
    const listed = await readIfThere(() => readJson(list, ListSchema));
    const found = listed?.graphs.find((graph) => graph.slug === name);
    const expected = {
      slug: name,
      scan: asciiName(scan ?? wanted.scan),
      prompt: wanted.prompt,
      generation_settings: Object.fromEntries(
        Object.entries(wanted.options).filter(([, value]) => value !== null),
      ),
      pruning_settings: {
        node_threshold: nodeThreshold ?? ATTRIBUTE_DEFAULTS.nodeThreshold,
        edge_threshold: edgeThreshold ?? ATTRIBUTE_DEFAULTS.edgeThreshold,
      },
    };
    const file = path.join(graphDir, `${name}.json`);
    if (!isDeepStrictEqual(found, expected) || !existsSync(file)) return undefined;
    files.push(file, list);
  }
  return files.length === 0 ? undefined : await Promise.all(files.map(writtenFile));
}

const ListSchema = jsonObject({
  graphs: v.array(
    jsonObject({
      slug: v.string(),
      scan: v.optional(v.string()),
      prompt: v.optional(v.string()),
      generation_settings: v.optional(v.unknown()),
      pruning_settings: v.optional(v.unknown()),
    }),
  ),
});

type Origin = Pick<Provenance, 'model' | 'transcoders' | 'dtype' | 'options' | 'prompt' | 'scan'>;

function origin({ model, transcoders, dtype, options, prompt, scan }: Origin): Origin {
  return { model, transcoders, dtype, options, prompt, scan };
}

/** The provenance in a graph file, read from its header alone. */
async function graphOrigin(file: string): Promise<Origin> {
  using tensors = await openSafetensors(file);
  const text = tensors.metadata['provenance'] ?? '{}';
  return origin(parseJson(`${file}, metadata provenance`, text, v.unknown()) as Provenance);
}

/** Undefined for a file that is missing or damaged: it is written anew. */
async function readIfThere<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof NotFoundError || error instanceof BadFileError) return undefined;
    throw error;
  }
}
