/**
 * Viewer: what manifests of lists of prompts say of the graphs beside them: prompt, set, scores, metadata. Thousands of graphs are listed
 * by these lines; a graph file is opened when it is asked for.
 */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { isManifest, readManifests, type ManifestEntry } from '../engine/attribute/manifest.ts';
import { TracerError } from '../errors.ts';

/** By the absolute paths of their files. */
export type EntriesByFile = ReadonlyMap<string, ManifestEntry>;

export class GraphManifests {
  readonly #known = new Map<string, { readonly version: string; readonly entries: EntriesByFile }>();

  /** @param names all names in the folder */
  async of(folder: string, names: readonly string[]): Promise<EntriesByFile> {
    const version = await versionOf(folder, names.filter(isManifest));
    const known = this.#known.get(folder);
    if (known?.version === version) return known.entries;
    const entries = await readEntries(folder);
    this.#known.set(folder, { version, entries });
    return entries;
  }
}

async function versionOf(folder: string, names: readonly string[]): Promise<string> {
  const parts = names.map(async (name) => {
    const found = await stat(path.join(folder, name)).catch(() => undefined);
    return `${name} ${found?.ino} ${found?.mtimeMs} ${found?.size}`;
  });
  return (await Promise.all(parts)).join('\n');
}

/** A manifest that cannot be read counts as empty, since each file has its own metadata. */
async function readEntries(folder: string): Promise<EntriesByFile> {
  const byFile = new Map<string, ManifestEntry>();
  try {
    for (const entry of (await readManifests(folder)).values()) {
      for (const { path: file } of entry.files) byFile.set(path.resolve(file), entry);
    }
  } catch (error) {
    if (!(error instanceof TracerError)) throw error;
    return new Map();
  }
  return byFile;
}
