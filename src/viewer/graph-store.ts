/**
 * Viewer: the list of graphs that are served. A request names a graph by its slug, which is looked up in this list; no path is
 * built from the text of a request.
 */
import { realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import type { ManifestEntry } from '../engine/attribute/manifest.ts';
import { BadFileError, NotFoundError, TracerError } from '../errors.ts';
import { openingError } from '../formats/system-errors.ts';
import { annotationsPath } from '../graph/annotations.ts';
import { viewerSlug } from '../graph/slug.ts';
import type { GraphEntry } from './api.ts';
import { attentionPath } from './attention-file.ts';
import {
  describeGraphFile,
  describeTraced,
  describeViewerFile,
  factsOf,
  NO_FACTS,
  type Description,
} from './describe.ts';
import {
  GRAPH_EXTENSION,
  listFolder,
  resolveCandidate,
  type Candidate,
  type ResolvedFile,
} from './graph-candidates.ts';
import { GraphManifests, type EntriesByFile } from './graph-manifests.ts';
import { isStudy } from './studies.ts';

export interface StoredGraph extends GraphEntry, Omit<ResolvedFile, 'problem'> {
  readonly annotationsFile: string;
  readonly attentionFile: string;
  readonly candidate: Candidate;
  /** Digest of what the graph follows from, where a manifest names the file; equal for the files of one trace. */
  readonly origin: string | null;
  /** Whether the file was not opened: a manifest describes it. */
  readonly isUnopened: boolean;
}

/** Files that are looked at at once: more wait for the disk no less, and on a network each takes long. */
const AT_ONCE = 64;

/** Slug of a file whose name is nothing but dots, which no address can have. */
const NAMELESS = 'graph';

export class GraphStore {
  /** Folder that graphs traced in the page are written to; null where nothing but studies is served. */
  readonly folder: string | null;
  private readonly folders: readonly string[];
  private readonly files: Set<string>;
  private readonly manifests = new GraphManifests();
  private readonly described = new Map<string, { version: string; description: Description | null }>();
  private graphs: readonly StoredGraph[] = [];

  private constructor(folders: readonly string[], files: readonly string[], folder: string | null) {
    this.folders = folders;
    this.files = new Set(files);
    this.folder = folder;
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
    const store = new GraphStore(folders, files, await folderOfNew(folders, files));
    await store.list();
    return store;
  }

  /** As they were listed last. */
  get known(): readonly StoredGraph[] {
    return this.graphs;
  }

  /** Reads the folders again. */
  async list(): Promise<readonly StoredGraph[]> {
    const candidates = [...this.files].map((file): Candidate => ({
      path: file,
      folder: null,
      isFile: false,
    }));
    const entries = new Map<string, ManifestEntry>();
    for (const folder of this.folders) {
      const listed = await listFolder(folder);
      for (const candidate of listed.candidates) candidates.push(candidate);
      for (const [file, entry] of await this.manifests.of(folder, listed.names)) entries.set(file, entry);
    }
    const found = new Map<string, StoredGraph>();
    for (let start = 0; start < candidates.length; start += AT_ONCE) {
      const some = candidates.slice(start, start + AT_ONCE);
      for (const graph of await Promise.all(some.map((candidate) => this.examine(candidate, entries)))) {
        if (graph !== null && !found.has(graph.file)) found.set(graph.file, graph);
      }
    }
    const whole = withoutDuplicates(withoutDuplicates([...found.values()], pathWithoutExtension), traceKey);
    this.graphs = withUniqueSlugs(whole);
    return this.graphs;
  }

  /** Throws `NotFoundError` when no graph has that slug, and `BadFileError` when it cannot be opened. */
  async find(slug: string): Promise<StoredGraph> {
    const listed = (await this.unchanged(slug)) ?? (await this.list()).find((one) => one.slug === slug);
    const graph = listed?.isUnopened ? await this.opened(listed) : listed;
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

  /** With what only the file itself tells; undefined when it is no graph. */
  private async opened(listed: StoredGraph): Promise<StoredGraph | undefined> {
    const description = await this.describe(listed.candidate, listed);
    return description === null ? undefined : { ...listed, ...description, isUnopened: false };
  }

  private async examine(candidate: Candidate, entries: EntriesByFile): Promise<StoredGraph | null> {
    const resolved = await resolveCandidate(candidate);
    if (resolved === null) return null;
    const entry = entryFor(resolved, entries);
    const traced = entry && describeTraced(entry, isGraphFile(candidate.path) ? 'graph' : 'viewer');
    const description = traced ?? (await this.describe(candidate, resolved));
    if (description === null) return null;
    return {
      ...resolved,
      ...description,
      ...(entry ? factsOf(entry) : NO_FACTS),
      slug: path.parse(candidate.path).name.replace(/^\.*$/, NAMELESS),
      annotationsFile: annotationsPath(candidate.path),
      attentionFile: attentionPath(candidate.path),
      candidate,
      origin: entry?.origin ?? null,
      isUnopened: traced !== undefined,
    };
  }

  /** Each version of a file is read once. */
  private async describe(
    candidate: Candidate,
    { version, problem }: Pick<ResolvedFile, 'version' | 'problem'>,
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

/** The first folder that is no study, in which nothing else may lie. */
async function folderOfNew(folders: readonly string[], files: readonly string[]): Promise<string | null> {
  for (const folder of folders) if (!(await isStudy(folder))) return folder;
  return files[0] === undefined ? null : path.dirname(files[0]);
}

/** A file of another size was written again since, by something else. */
function entryFor({ file, bytes }: ResolvedFile, entries: EntriesByFile): ManifestEntry | undefined {
  const entry = entries.get(file);
  return entry?.files.some((one) => path.resolve(one.path) === file && one.bytes === bytes)
    ? entry
    : undefined;
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

/** The two files of one trace have one time of creation, or one line of a manifest, and one name, also in different folders. */
function traceKey({ slug, file, created_ms, origin }: StoredGraph): string {
  if (origin !== null) return `${origin} ${viewerSlug(slug)}`;
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
    return slug === graph.slug ? graph : { ...graph, slug };
  });
}

/** The fields of a graph that are sent to the page. */
export function entryOf(graph: StoredGraph): GraphEntry {
  const { slug, prompt, scan, kind, created_ms, bytes, n_nodes, scores, metadata, problem } = graph;
  return { slug, prompt, scan, kind, created_ms, bytes, n_nodes, scores, metadata, problem };
}
