/** Engine: output files of a graph: their paths, whether they can be written, and whether they exist already. */
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { UsageError } from '../../errors.ts';
import { checkWritable, FILE_EXISTS, refuseExisting, type AtomicOptions } from '../../formats/atomic.ts';
import { annotationsPath } from '../../graph/annotations.ts';
import { writeGraph } from '../../graph/files.ts';
import type { Graph } from '../../graph/graph.ts';
import { viewerGraph, type ViewerMetadata } from '../../graph/neuronpedia.ts';
import { keptGraph } from '../../graph/kept-graph.ts';
import type { PrunedGraph } from '../../graph/prune.ts';
import { graphScores } from '../../graph/scores.ts';
import { viewerSlug } from '../../graph/slug.ts';
import { listGraphs, writeViewerFile } from '../../graph/viewer-files.ts';
import type { AttributeRequest } from './types.ts';
import type { SavedFileResult } from '../result.ts';
import { checkGraphOutput } from '../graph-output.ts';
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
  if (output !== undefined) {
    checkGraphOutput(output);
    await checkWritable(output);
  }
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

/** `listed`: takes what the list of graphs is to say, and the list stays as it is; otherwise it is written now. */
export async function writeGraphFiles(
  graph: Graph,
  pruned: PrunedGraph,
  options: WriteOptions,
  labels: Readonly<Record<string, string>>,
  listed?: ViewerMetadata[],
): Promise<SavedFileResult[]> {
  if (!options.keepExisting) return await writeTo(options, graph, pruned, labels, listed);
  for (let count = 1; ; count++) {
    try {
      return await writeTo({ ...options, ...numbered(options, count) }, graph, pruned, labels, listed);
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
  listed?: ViewerMetadata[],
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
      const viewed = viewerGraph(pruned, { slug, scan, labels });
      written.push(await writeViewerFile(graphDir, viewed, atomic));
      if (listed) listed.push(viewed.metadata);
      else written.push(await listGraphs(graphDir, [viewed.metadata], atomic));
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
