/** Engine, verbs of `tracer graph` that write for other programs: `merge` and `export`. None of them loads a model or TF.js. */
import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { unreachable, UsageError } from '../errors.ts';
import { writeFileAtomic, type AtomicOptions } from '../formats/atomic.ts';
import { linksToCsv, nodesToCsv, toDot, toGraphml } from '../graph/export.ts';
import { readGraph } from '../graph/files.ts';
import { mergeGraphs, type MergedGraph } from '../graph/merge.ts';
import { sanitiseName, slugFileName, viewerGraph } from '../graph/neuronpedia.ts';
import { pruneGraph, type PrunedGraph, type PruneOptions } from '../graph/prune.ts';
import { viewOf, type GraphView } from '../graph/view.ts';
import { writeViewerGraph } from '../graph/viewer-files.ts';
import type { SavedFileResult } from './results.ts';
import { writtenFile } from './written-file.ts';

/** Formats that need no positions, so that merged graphs can be written too. */
export type ViewFormat = 'graphml' | 'dot' | 'csv';
export type ExportFormat = ViewFormat | 'neuronpedia';

const MERGE_FORMAT: ViewFormat = 'graphml';

export interface MergeOptions extends PruneOptions, AtomicOptions {
  readonly output?: string | undefined;
  /** Of `output`; default GraphML. */
  readonly format?: ViewFormat | undefined;
}

export interface MergeResult {
  readonly graphs: readonly string[];
  readonly n_nodes: number;
  readonly n_links: number;
  readonly merged: MergedGraph;
  readonly files: readonly SavedFileResult[];
}

/** Several graphs as one, each pruned first. Throws `UsageError` for graphs of different transcoder sets. */
export async function mergeFiles(files: readonly string[], options: MergeOptions = {}): Promise<MergeResult> {
  const { output, format = MERGE_FORMAT } = options;
  if (output !== undefined) await refuseInputs(viewFiles(output, format), files);
  else if (options.format !== undefined) {
    throw new UsageError({
      code: 'format_without_output',
      message: '--format says how --output is written, which is missing',
      hint: 'Add --output FILE.',
    });
  }
  const pruned: PrunedGraph[] = [];
  for (const file of files) pruned.push(pruneGraph(await readGraph(file), options));
  const merged = mergeGraphs(pruned);
  return {
    graphs: files,
    n_nodes: merged.nodes.length,
    n_links: merged.links.length,
    merged,
    files: output === undefined ? [] : await writeView(merged, format, output, options),
  };
}

export interface ExportOptions extends PruneOptions, AtomicOptions {
  readonly format: ExportFormat;
  /** File to write; default: beside the graph, with the extension of the format. */
  readonly output?: string | undefined;
  /** `neuronpedia` only, instead of `output`: the folder of `SLUG.json` and `graph-metadata.json`. */
  readonly graphDir?: string | undefined;
  /** `neuronpedia` only; default: the name of the graph file. */
  readonly slug?: string | undefined;
  /** `neuronpedia` only; default: as the graph says. */
  readonly scan?: string | undefined;
}

export interface ExportResult {
  readonly file: string;
  readonly format: ExportFormat;
  readonly n_nodes: number;
  readonly n_links: number;
  readonly files: readonly SavedFileResult[];
}

/** The pruned graph for other programs. Throws `UsageError` for options that the format has no use for. */
export async function exportFile(file: string, options: ExportOptions): Promise<ExportResult> {
  checkOptions(options);
  const { format } = options;
  const slug = options.slug ?? sanitiseName(path.parse(file).name);
  const output = outputOf(file, slug, options);
  await refuseInputs(format === 'neuronpedia' ? [output] : viewFiles(output, format), [file]);
  const pruned = pruneGraph(await readGraph(file), options);
  const view = viewOf(pruned);
  return {
    file,
    format,
    n_nodes: view.nodes.length,
    n_links: view.links.length,
    files:
      format === 'neuronpedia'
        ? await writeViewer(pruned, slug, output, options)
        : await writeView(view, format, output, options),
  };
}

function checkOptions({ format, output, graphDir, slug, scan }: ExportOptions): void {
  const viewerFlags = { '--graph-dir': graphDir, '--slug': slug, '--scan': scan };
  const given = Object.entries(viewerFlags).find(([, value]) => value !== undefined);
  if (format !== 'neuronpedia' && given !== undefined) {
    throw new UsageError({
      code: 'viewer_flag',
      message: `${given[0]} belongs to --format neuronpedia; the format is ${format}`,
      hint: `Leave ${given[0]} out, or give --format neuronpedia.`,
    });
  }
  if (output !== undefined && graphDir !== undefined) {
    throw new UsageError({
      code: 'two_places',
      message: '--output and --graph-dir both say where the graph is written',
      hint: 'Give --graph-dir with --slug for a viewer, or --output for one file.',
    });
  }
}

async function writeViewer(
  pruned: PrunedGraph,
  slug: string,
  output: string,
  options: ExportOptions,
): Promise<SavedFileResult[]> {
  const viewer = viewerGraph(pruned, { slug, scan: options.scan });
  if (options.graphDir !== undefined) {
    const { graph, metadata } = await writeViewerGraph(options.graphDir, viewer, options);
    return [await writtenFile(graph), await writtenFile(metadata)];
  }
  await writeFileAtomic(output, `${JSON.stringify(viewer)}\n`, options);
  return [await writtenFile(output)];
}

/** The files of a view. CSV is two tables: `NAME.csv` with the links, and `NAME.nodes.csv`. */
function viewFiles(output: string, format: ViewFormat): [main: string, ...others: string[]] {
  const { dir, name } = path.parse(output);
  return format === 'csv' ? [output, path.join(dir, `${name}.nodes.csv`)] : [output];
}

async function writeView(
  view: GraphView,
  format: ViewFormat,
  output: string,
  options: AtomicOptions,
): Promise<SavedFileResult[]> {
  const files = viewFiles(output, format);
  const texts = viewTexts(view, format);
  for (const [i, file] of files.entries()) await writeFileAtomic(file, texts[i]!, options);
  return Promise.all(files.map(writtenFile));
}

/** In the order of `viewFiles`. */
function viewTexts(view: GraphView, format: ViewFormat): string[] {
  switch (format) {
    case 'graphml':
      return [toGraphml(view)];
    case 'dot':
      return [toDot(view)];
    case 'csv':
      return [linksToCsv(view), nodesToCsv(view)];
    default:
      return unreachable(format);
  }
}

const EXTENSIONS: Readonly<Record<ExportFormat, string>> = {
  neuronpedia: '.json',
  graphml: '.graphml',
  dot: '.dot',
  csv: '.csv',
};

/** Where the (first) file goes. */
function outputOf(file: string, slug: string, { format, output, graphDir }: ExportOptions): string {
  if (output !== undefined) return output;
  if (graphDir !== undefined) return path.join(graphDir, slugFileName(slug) + EXTENSIONS[format]);
  const { dir, name } = path.parse(file);
  return path.join(dir, name + EXTENSIONS[format]);
}

/** A graph file costs an attribution: it is never replaced by what was made from it. Throws `UsageError`. */
export async function refuseInputs(outputs: readonly string[], inputs: readonly string[]): Promise<void> {
  const taken = new Set(await Promise.all(inputs.map(realName)));
  for (const output of outputs) {
    if (!taken.has(await realName(output))) continue;
    throw new UsageError({
      code: 'output_is_input',
      message: `${output} would replace the graph it is made from`,
      hint: 'Give --output another name.',
    });
  }
}

/** Links followed, where there is a file. */
async function realName(file: string): Promise<string> {
  try {
    return await realpath(file);
  } catch {
    return path.resolve(file); // not there yet: reading or writing it says more
  }
}
