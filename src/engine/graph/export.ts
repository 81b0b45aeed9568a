/** Engine, verbs of `tracer graph` that write for other programs: `merge` and `export`. None of them loads a model or TF.js. */
import path from 'node:path';
import { unreachable, UsageError } from '../../errors.ts';
import { writeFileAtomic, type AtomicOptions } from '../../formats/atomic.ts';
import { linksToCsv, nodesToCsv, toDot, toGraphml } from '../../graph/export.ts';
import { readGraph } from '../../graph/files.ts';
import { mergeGraphs, type MergedGraph } from '../../graph/merge.ts';
import { annotationsPath, withAnnotations } from '../../graph/annotations.ts';
import type { ViewerGraph } from '../../graph/neuronpedia.ts';
import { isViewerFile } from '../../graph/read-viewer.ts';
import { pruneGraph, type PrunedGraph, type PruneOptions } from '../../graph/prune.ts';
import { viewerSlug } from '../../graph/slug.ts';
import { viewOf, type GraphView } from '../../graph/view.ts';
import { writeViewerGraph } from '../../graph/viewer-files.ts';
import { openDrawnGraph } from './drawn-graph.ts';
import type { PictureOptions } from './pictures.ts';
import { checkTextOutput } from '../graph-output.ts';
import { refuseInputs } from '../refuse-inputs.ts';
import type { SavedFileResult } from '../result.ts';
import { writtenFile } from '../written-file.ts';

/** Formats that need no positions, so that merged graphs can be written too. */
export type ViewFormat = 'graphml' | 'dot' | 'csv';
/** Formats of the graph as it is drawn, with its annotations; they are also made from a viewer's file. */
export type DrawnFormat = 'neuronpedia' | 'svg' | 'html';
export type ExportFormat = ViewFormat | DrawnFormat;

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
  if (output !== undefined) {
    await refuseInputs(viewFiles(output, format), files);
    checkTextOutput(output);
  } else if (options.format !== undefined) {
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

export interface ExportOptions extends PruneOptions, AtomicOptions, PictureOptions {
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

/** Writes the pruned graph for other programs. Throws `UsageError` for options that do not apply to the format. */
export async function exportFile(file: string, options: ExportOptions): Promise<ExportResult> {
  checkOptions(options);
  const { format } = options;
  const slug = options.slug ?? path.parse(file).name;
  const output = outputOf(file, slug, options);
  await refuseInputs(isViewFormat(format) ? viewFiles(output, format) : [output], [
    file,
    annotationsPath(file),
  ]);
  checkTextOutput(output);
  if (!isViewFormat(format)) return { file, format, ...(await writeDrawn(file, slug, output, options)) };
  if (isViewerFile(file)) throw viewerFile(file, format);
  const view = viewOf(pruneGraph(await readGraph(file), options));
  return {
    file,
    format,
    n_nodes: view.nodes.length,
    n_links: view.links.length,
    files: await writeView(view, format, output, options),
  };
}

function isViewFormat(format: ExportFormat): format is ViewFormat {
  return format === 'graphml' || format === 'dot' || format === 'csv';
}

function viewerFile(file: string, format: ViewFormat): UsageError {
  return new UsageError({
    code: 'viewer_file',
    message: `${file} is a viewer's file; ${format} is made from the graph file`,
    hint: 'Give the .safetensors file, or --format svg, html or neuronpedia.',
  });
}

async function writeDrawn(
  file: string,
  slug: string,
  output: string,
  options: ExportOptions,
): Promise<Pick<ExportResult, 'n_nodes' | 'n_links' | 'files'>> {
  const drawn = await openDrawnGraph(file, { ...options, slug });
  if (options.format === 'neuronpedia') {
    const { nodes, links } = drawn.viewer;
    const { knownFeatures } = await import('./known-features.ts');
    const features = await knownFeatures(drawn, options.cacheDir);
    const viewer = withAnnotations(drawn.viewer, drawn.annotations, await features.labels());
    const files = await writeViewer(viewer, output, options);
    return { n_nodes: nodes.length, n_links: links.length, files };
  }
  const { htmlOf, svgOf } = await import('./pictures.ts');
  const picture = options.format === 'svg' ? await svgOf(drawn, file, options) : await htmlOf(drawn, options);
  await writeFileAtomic(output, picture.text, options);
  const { n_nodes, n_links } = picture;
  return { n_nodes, n_links, files: [await writtenFile(output)] };
}

function checkOptions({ format, output, graphDir, slug, scan, theme, subgraph }: ExportOptions): void {
  refuseFlags(format, 'neuronpedia', { '--graph-dir': graphDir, '--slug': slug, '--scan': scan });
  refuseFlags(format, 'svg', { '--theme': theme, '--subgraph': subgraph });
  if (output !== undefined && graphDir !== undefined) {
    throw new UsageError({
      code: 'two_places',
      message: '--output and --graph-dir both say where the graph is written',
      hint: 'Give --graph-dir with --slug for a viewer, or --output for one file.',
    });
  }
}

/** Flags that apply to one format only. */
function refuseFlags(
  format: ExportFormat,
  owner: ExportFormat,
  flags: Readonly<Record<string, unknown>>,
): void {
  const given = Object.entries(flags).find(([, value]) => value !== undefined);
  if (format === owner || given === undefined) return;
  throw new UsageError({
    code: 'viewer_flag',
    message: `${given[0]} belongs to --format ${owner}; the format is ${format}`,
    hint: `Leave ${given[0]} out, or give --format ${owner}.`,
  });
}

async function writeViewer(
  viewer: ViewerGraph,
  output: string,
  options: ExportOptions,
): Promise<SavedFileResult[]> {
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
  svg: '.svg',
  html: '.html',
};

/** Path of the (first) file. */
function outputOf(file: string, slug: string, { format, output, graphDir, subgraph }: ExportOptions): string {
  if (output !== undefined) return output;
  if (graphDir !== undefined) return path.join(graphDir, viewerSlug(slug) + EXTENSIONS[format]);
  const { dir, name } = path.parse(file);
  return path.join(dir, name + (subgraph === true ? '.subgraph' : '') + EXTENSIONS[format]);
}
