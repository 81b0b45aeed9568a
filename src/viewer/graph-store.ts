/**
 * Viewer: the list of graphs that are served. A request names a graph by its slug, which is looked up in this list; no path is
 * built from the text of a request.
 */
import { realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { BadFileError, NotFoundError, TracerError } from '../errors.ts';
import { openingError } from '../formats/system-errors.ts';
import { annotationsPath } from '../graph/annotations.ts';
import { viewerSlug } from '../graph/slug.ts';
import type { GraphEntry } from './api.ts';
import { attentionPath } from './attention-file.ts';
import { describeGraphFile, describeViewerFile, type Description } from './describe.ts';
import {
  GRAPH_EXTENSION,
  listCandidates,
  resolveCandidate,
  type Candidate,
  type ResolvedFile,
} from './graph-candidates.ts';

export interface StoredGraph extends GraphEntry, Omit<ResolvedFile, 'problem'> {
  readonly annotationsFile: string;
  readonly attentionFile: string;
  readonly candidate: Candidate;
}

/** Slug of a file whose name is nothing but dots, which no address can have. */
const NAMELESS = 'graph';

export class GraphStore {
  /** Folder that graphs traced in the page are written to. */
  readonly folder: string;
  private readonly folders: readonly string[];
  private readonly files: Set<string>;
  private readonly described = new Map<string, { version: string; description: Description | null }>();
  private graphs: readonly StoredGraph[] = [];

  private constructor(folders: readonly string[], files: readonly string[]) {
    this.folders = folders;
    this.files = new Set(files);
    this.folder = folders[0] ?? path.dirname(files[0]!);
  }

  /**
   * @param paths at least one folder or graph file. Throws `NotFoundError` for a path that does not exist and `BadFileError`
   * for a file that is not a graph.
   */
  static async open(paths: readonly string[]): Promise<GraphStore> {
    const folders: string[] = [];
    const files: string[] = [];
    for (const given of paths) {
      const real = await realpath(given).catch((cause: unknown) => {
        throw openingError(given, cause);
      });
      if ((await stat(real)).isDirectory()) folders.push(real);
      else files.push(path.resolve(given));
    }
    for (const file of files) await checkNamed(file);
    const store = new GraphStore(folders, files);
    await store.list();
    return store;
  }

  /** Reads the folders again. */
  async list(): Promise<readonly StoredGraph[]> {
    const candidates = [...this.files].map((file): Candidate => ({ path: file, folder: null }));
    for (const folder of this.folders) {
      for (const candidate of await listCandidates(folder)) candidates.push(candidate);
    }
    const found = new Map<string, StoredGraph>();
    for (const candidate of candidates) {
      const graph = await this.examine(candidate);
      if (graph !== null && !found.has(graph.file)) found.set(graph.file, graph);
    }
    const whole = withoutDuplicates(withoutDuplicates([...found.values()], pathWithoutExtension), traceKey);
    this.graphs = withUniqueSlugs(whole);
    return this.graphs;
  }

  /** Throws `NotFoundError` when no graph has that slug, and `BadFileError` when it cannot be opened. */
  async find(slug: string): Promise<StoredGraph> {
    const graph = (await this.unchanged(slug)) ?? (await this.list()).find((one) => one.slug === slug);
    if (graph === undefined) {
      throw new NotFoundError({
        code: 'unknown_graph',
        message: `no graph is called ${JSON.stringify(slug)}`,
        hint: 'Choose one of the list.',
      });
    }
    if (graph.problem !== null) throw new BadFileError({ code: 'damaged_graph', message: graph.problem });
    return graph;
  }

  /** Adds a graph that was written after the start. */
  async add(file: string): Promise<StoredGraph> {
    const real = await realpath(file);
    if (!this.folders.includes(path.dirname(real))) this.files.add(file);
    return (await this.list()).find((graph) => graph.file === real)!;
  }

  /** The graph as it was listed; undefined when the file has changed or was replaced by a link since. */
  private async unchanged(slug: string): Promise<StoredGraph | undefined> {
    const graph = this.graphs.find((one) => one.slug === slug);
    if (graph === undefined) return undefined;
    return (await resolveCandidate(graph.candidate))?.version === graph.version ? graph : undefined;
  }

  private async examine(candidate: Candidate): Promise<StoredGraph | null> {
    const resolved = await resolveCandidate(candidate);
    if (resolved === null) return null;
    const description = await this.describe(candidate, resolved);
    if (description === null) return null;
    const slug = path.parse(candidate.path).name.replace(/^\.*$/, NAMELESS);
    const annotationsFile = annotationsPath(candidate.path);
    const attentionFile = attentionPath(candidate.path);
    return { ...resolved, ...description, slug, annotationsFile, attentionFile, candidate };
  }

  /** Each version of a file is read once. */
  private async describe(
    candidate: Candidate,
    { version, problem }: ResolvedFile,
  ): Promise<Description | null> {
    const known = this.described.get(candidate.path);
    if (known?.version === version) return known.description;
    const description =
      problem === null
        ? (candidate.listed ?? (await describeFile(candidate.path)))
        : damaged(candidate.path, problem);
    this.described.set(candidate.path, { version, description });
    return description;
  }
}

async function describeFile(file: string): Promise<Description | null> {
  try {
    return isGraphFile(file) ? await describeGraphFile(file) : await describeViewerFile(file);
  } catch (error) {
    if (error instanceof TracerError) return damaged(file, error.message);
    throw error;
  }
}

function isGraphFile(file: string): boolean {
  return path.extname(file) === GRAPH_EXTENSION;
}

function damaged(file: string, problem: string): Description {
  return { kind: isGraphFile(file) ? 'graph' : 'viewer', prompt: '', scan: '', created_ms: null, problem };
}

async function checkNamed(file: string): Promise<void> {
  const description = (await stat(file)).isFile() ? await describeFile(file) : null;
  if (description?.problem === null) return;
  throw new BadFileError({
    code: 'not_a_graph',
    message: description?.problem ?? `${file} is not a graph`,
    hint: 'Give graph files (.safetensors), viewer files (.json), or folders of them.',
  });
}

/**
 * `x.json` beside `x.safetensors` is the same graph, pruned: the graph file is listed, unless it is damaged. The name of a viewer file is
 * the ASCII form of the name of its graph.
 */
function pathWithoutExtension({ candidate, slug }: StoredGraph): string {
  return path.join(path.dirname(candidate.path), viewerSlug(slug));
}

/** The two files of one trace have one time of creation and one name, also in different folders. */
function traceKey({ slug, file, created_ms }: StoredGraph): string {
  return created_ms === null ? file : `${created_ms} ${viewerSlug(slug)}`;
}

/** One graph of each key, the one of the highest rank, in the order in which the keys first occur. */
function withoutDuplicates(
  graphs: readonly StoredGraph[],
  keyOf: (graph: StoredGraph) => string,
): StoredGraph[] {
  const best = new Map<string, StoredGraph>();
  for (const graph of graphs) {
    const key = keyOf(graph);
    const other = best.get(key);
    if (other === undefined || rank(graph) > rank(other)) best.set(key, graph);
  }
  return [...best.values()];
}

function rank({ kind, problem }: GraphEntry): number {
  return (problem === null ? 2 : 0) + (kind === 'graph' ? 1 : 0);
}

/** The second graph of slug `x` gets the slug `x-2`. */
function withUniqueSlugs(graphs: readonly StoredGraph[]): StoredGraph[] {
  const taken = new Set<string>();
  return graphs.map((graph) => {
    let { slug } = graph;
    for (let count = 2; taken.has(slug); count++) slug = `${graph.slug}-${count}`;
    taken.add(slug);
    return { ...graph, slug };
  });
}

/** The fields of a graph that are sent to the page. */
export function entryOf({ slug, prompt, scan, kind, created_ms, bytes, problem }: StoredGraph): GraphEntry {
  return { slug, prompt, scan, kind, created_ms, bytes, problem };
}
