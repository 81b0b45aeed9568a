/**
 * Viewer: the graphs that are served. A request names a graph by its slug, which is looked up in the list made here; no path
 * is ever built from what a request says.
 */
import { realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { BadFileError, NotFoundError, TracerError } from '../errors.ts';
import { openingError } from '../formats/system-errors.ts';
import { annotationsPath } from '../graph/annotations.ts';
import { sanitiseName } from '../graph/neuronpedia.ts';
import type { GraphEntry } from './api.ts';
import { describeGraphFile, describeViewerFile, type Description } from './describe.ts';
import { candidatesOf, GRAPH_EXTENSION, placeOf, type Candidate, type Place } from './places.ts';

export interface ShelvedGraph extends GraphEntry, Omit<Place, 'problem'> {
  readonly annotationsFile: string;
  readonly candidate: Candidate;
}

/** A slug that nothing is left of. */
const NAMELESS = 'graph';

export class Shelf {
  /** Where graphs that are traced in the page are written. */
  readonly folder: string;
  private readonly folders: readonly string[];
  private readonly files: Set<string>;
  private readonly described = new Map<string, { version: string; description: Description | null }>();
  private graphs: readonly ShelvedGraph[] = [];

  private constructor(folders: readonly string[], files: readonly string[]) {
    this.folders = folders;
    this.files = new Set(files);
    this.folder = folders[0] ?? path.dirname(files[0]!);
  }

  /**
   * @param places at least one folder or graph file. Throws `NotFoundError` for what is not there and `BadFileError` for a
   * file that is no graph.
   */
  static async open(places: readonly string[]): Promise<Shelf> {
    const folders: string[] = [];
    const files: string[] = [];
    for (const place of places) {
      const real = await realpath(place).catch((cause: unknown) => {
        throw openingError(place, cause);
      });
      if ((await stat(real)).isDirectory()) folders.push(real);
      else files.push(path.resolve(place));
    }
    for (const file of files) await checkNamed(file);
    const shelf = new Shelf(folders, files);
    await shelf.list();
    return shelf;
  }

  /** Looks at the folders again. */
  async list(): Promise<readonly ShelvedGraph[]> {
    const candidates = [...this.files].map((file): Candidate => ({ path: file, folder: null }));
    for (const folder of this.folders) candidates.push(...(await candidatesOf(folder)));
    const found = new Map<string, ShelvedGraph>();
    for (const candidate of candidates) {
      const graph = await this.examine(candidate);
      if (graph !== null && !found.has(graph.file)) found.set(graph.file, graph);
    }
    const whole = withoutTwins(withoutTwins([...found.values()], besideEachOther), ofOneTrace);
    this.graphs = withUniqueSlugs(whole);
    return this.graphs;
  }

  /** Throws `NotFoundError` when no graph has that slug, and `BadFileError` when it cannot be opened. */
  async find(slug: string): Promise<ShelvedGraph> {
    const graph = (await this.stillThere(slug)) ?? (await this.list()).find((one) => one.slug === slug);
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

  /** A graph that was written while serving. */
  async add(file: string): Promise<ShelvedGraph> {
    const real = await realpath(file);
    if (!this.folders.includes(path.dirname(real))) this.files.add(file);
    return (await this.list()).find((graph) => graph.file === real)!;
  }

  /** As it was listed, unless the file has changed since, or a link has taken its place. */
  private async stillThere(slug: string): Promise<ShelvedGraph | undefined> {
    const graph = this.graphs.find((one) => one.slug === slug);
    if (graph === undefined) return undefined;
    return (await placeOf(graph.candidate))?.version === graph.version ? graph : undefined;
  }

  private async examine(candidate: Candidate): Promise<ShelvedGraph | null> {
    const place = await placeOf(candidate);
    if (place === null) return null;
    const description = await this.describe(candidate, place);
    if (description === null) return null;
    const slug = sanitiseName(path.parse(candidate.path).name).replace(/^\.*$/, NAMELESS);
    const annotationsFile = annotationsPath(candidate.path);
    return { ...place, ...description, slug, annotationsFile, candidate };
  }

  /** Read once for each version of a file. */
  private async describe(candidate: Candidate, { version, problem }: Place): Promise<Description | null> {
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
    message: description?.problem ?? `${file} is no graph`,
    hint: 'Give graph files (.safetensors), viewer files (.json), or folders of them.',
  });
}

/** `x.json` beside `x.safetensors` is the same graph, pruned: the whole one is shown, unless it is damaged. */
function besideEachOther({ candidate }: ShelvedGraph): string {
  const { dir, name } = path.parse(candidate.path);
  return path.join(dir, name);
}

/** So are the two files of one trace, wherever each was written. */
function ofOneTrace({ candidate, file, created_ms }: ShelvedGraph): string {
  return created_ms === null ? file : `${created_ms} ${path.parse(candidate.path).name}`;
}

/** The best of each key, in the order of the first. */
function withoutTwins(
  graphs: readonly ShelvedGraph[],
  keyOf: (graph: ShelvedGraph) => string,
): ShelvedGraph[] {
  const best = new Map<string, ShelvedGraph>();
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

/** The second `x` is called `x-2`. */
function withUniqueSlugs(graphs: readonly ShelvedGraph[]): ShelvedGraph[] {
  const taken = new Set<string>();
  return graphs.map((graph) => {
    let { slug } = graph;
    for (let count = 2; taken.has(slug); count++) slug = `${graph.slug}-${count}`;
    taken.add(slug);
    return { ...graph, slug };
  });
}

/** What may be told of a graph. */
export function entryOf({ slug, prompt, scan, kind, created_ms, bytes, problem }: ShelvedGraph): GraphEntry {
  return { slug, prompt, scan, kind, created_ms, bytes, problem };
}
