/** Engine, `graph collect`: the graphs of all manifests, each once, in the order of the list of prompts. */
import { stat } from 'node:fs/promises';
import { BadFileError, NotFoundError, UsageError } from '../../errors.ts';
import { readManifests, type ManifestEntry } from '../attribute/manifest.ts';
import { plural } from '../../plural.ts';
import type { SkippedGraph } from './types.ts';

const GRAPH_FILE_ENDING = '.safetensors';
const NO_ENTRY = 'there is no manifest.jsonl, and no manifest of a part, or they are empty';
/** Named in an error, of those that are missing. */
const MOST_NAMED = 5;

export interface CollectedEntry extends ManifestEntry {
  /** The graph file. */
  readonly file: string;
}

export interface FoundEntries {
  readonly entries: readonly CollectedEntry[];
  readonly missing: readonly SkippedGraph[];
}

/**
 * Sorted by line, then slug, whatever folder or part of the list they are from. Throws `NotFoundError` for a folder without a manifest
 * and `UsageError` where two folders have different graphs under one name.
 */
export async function findEntries(folders: readonly string[]): Promise<FoundEntries> {
  const bySlug = new Map<string, { readonly entry: ManifestEntry; readonly folder: string }>();
  for (const folder of folders) {
    if (await isNoFolder(folder)) throw noManifest(folder, 'it is no folder');
    const found = await readManifests(folder);
    if (found.size === 0) throw noManifest(folder, NO_ENTRY);
    for (const entry of found.values()) {
      const other = bySlug.get(entry.slug);
      if (other === undefined) bySlug.set(entry.slug, { entry, folder });
      else if (other.entry.origin !== entry.origin) throw twoGraphs(entry.slug, other.folder, folder);
    }
  }
  const all = [...bySlug.values()].map(({ entry }) => entry);
  all.sort((a, b) => a.line - b.line || (a.slug < b.slug ? -1 : 1));
  const entries: CollectedEntry[] = [];
  const missing: SkippedGraph[] = [];
  for (const entry of all) {
    const state = await fileOf(entry);
    if ('file' in state) entries.push({ ...entry, file: state.file });
    else missing.push({ slug: entry.slug, message: state.fault });
  }
  return { entries, missing };
}

async function fileOf({ files }: ManifestEntry): Promise<{ file: string } | { fault: string }> {
  const graph = files.find((file) => file.path.endsWith(GRAPH_FILE_ENDING));
  if (graph === undefined) {
    return { fault: "the manifest names no graph file, only a viewer's: trace with --output DIR" };
  }
  const found = await stat(graph.path).catch(() => undefined);
  if (found?.isFile() !== true) return { fault: `${graph.path} is missing` };
  if (found.size === graph.bytes) return { file: graph.path };
  return { fault: `${graph.path} has ${found.size} bytes, the manifest says ${graph.bytes}` };
}

/** For a study that is to hold all graphs. */
export function refuseMissing(missing: readonly SkippedGraph[], total: number): void {
  if (missing.length === 0) return;
  const named = missing.slice(0, MOST_NAMED).map(({ slug, message }) => `${slug}: ${message}`);
  const rest = missing.length - named.length;
  throw new BadFileError({
    code: 'graphs_missing',
    message: `missing or incomplete: ${missing.length} of ${plural(total, 'graph')}\n${named.join('\n')}${rest > 0 ? `\nand ${rest} more` : ''}`,
    hint: 'Run `tracer attribute --prompts` again, which makes only these, or leave them out with --skip-damaged.',
  });
}

/** False for nothing at all, which the reader of manifests names. */
async function isNoFolder(folder: string): Promise<boolean> {
  const found = await stat(folder).catch(() => undefined);
  return found?.isDirectory() === false;
}

function noManifest(folder: string, reason: string): NotFoundError {
  return new NotFoundError({
    code: 'no_manifest',
    message: `${folder} has no graph: ${reason}`,
    hint: `Name a folder that \`tracer attribute --prompts FILE --output DIR\` wrote to.`,
  });
}

function twoGraphs(slug: string, first: string, second: string): UsageError {
  return new UsageError({
    code: 'two_graphs',
    message: `${first} and ${second} have different graphs under the name ${JSON.stringify(slug)}`,
    hint: 'Give every prompt a slug of its own, or collect the folders into two studies.',
  });
}
