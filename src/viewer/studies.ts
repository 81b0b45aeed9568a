/**
 * Viewer: the studies among the served folders and the folders in them. A request names one by its name in the list; no path is built
 * from the text of a request.
 */
import { lstat, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { NotFoundError, TracerError } from '../errors.ts';
import { DESCRIPTION_FILE, readDescription, tableFile, type StudyDescription } from '../study/description.ts';
import { TABLE_NAMES } from '../study/tables.ts';
import type { StudyEntry } from './api.ts';
import { subfolders, unusedName } from './served-folders.ts';

export interface FoundStudy {
  readonly name: string;
  readonly folder: string;
  readonly description: StudyDescription;
  /** Changes whenever a file of it does. */
  readonly version: string;
}

interface DamagedStudy {
  readonly name: string;
  readonly error: TracerError;
}

export class Studies {
  readonly #folders: readonly string[];

  /** @param folders that are served, as real paths */
  constructor(folders: readonly string[]) {
    this.#folders = folders;
  }

  /** Those that are there now, in the order of their folders. DuckDB is not needed. */
  async list(): Promise<StudyEntry[]> {
    return (await this.#find()).map((one) => {
      if ('error' in one) return { name: one.name, n_graphs: 0, scan: '', problem: one.error.message };
      const { n_graphs, scan } = one.description;
      return { name: one.name, n_graphs, scan, problem: null };
    });
  }

  /** Throws `NotFoundError` for a name that is not in the list, and what is wrong with a study that is damaged. */
  async find(name: string): Promise<FoundStudy> {
    const study = (await this.#find()).find((one) => one.name === name);
    if (study === undefined) {
      throw new NotFoundError({
        code: 'study_not_found',
        message: `there is no study ${JSON.stringify(name)} in the served folders`,
        hint: `A study is a folder with ${DESCRIPTION_FILE}, which \`tracer graph collect\` writes; list them with /api/studies.`,
      });
    }
    if ('error' in study) throw study.error;
    return study;
  }

  async #find(): Promise<(FoundStudy | DamagedStudy)[]> {
    const found = new Map<string, FoundStudy | DamagedStudy>();
    for (const root of this.#folders) {
      for (const folder of [root, ...(await subfolders(root))]) {
        if (!(await isOwnFile(path.join(folder, DESCRIPTION_FILE)))) continue;
        const name = unusedName(path.basename(folder), found);
        found.set(name, await opened(name, folder));
      }
    }
    return [...found.values()];
  }
}

/** Whether a folder is a study: graphs that are traced in the page do not go there. */
export async function isStudy(folder: string): Promise<boolean> {
  return (await readdir(folder)).includes(DESCRIPTION_FILE);
}

async function opened(name: string, folder: string): Promise<FoundStudy | DamagedStudy> {
  try {
    await refuseLinks(folder);
    const description = await readDescription(folder);
    return { name, folder, description, version: await versionOf(folder) };
  } catch (error) {
    if (error instanceof TracerError) return { name, error };
    throw error;
  }
}

/** A link could lead out of what is served. */
async function refuseLinks(folder: string): Promise<void> {
  for (const table of TABLE_NAMES) {
    const file = tableFile(folder, table);
    const found = await lstat(file).catch(() => undefined);
    if (found === undefined || found.isFile()) continue; // what is missing is named by the reader
    throw new NotFoundError({
      code: 'no_study',
      message: `${file} is a link or not a regular file: tables of a study are read from regular files only`,
      hint: 'Collect the graphs again.',
    });
  }
}

async function versionOf(folder: string): Promise<string> {
  const files = [
    path.join(folder, DESCRIPTION_FILE),
    ...TABLE_NAMES.map((table) => tableFile(folder, table)),
  ];
  const parts = files.map(async (file) => {
    const { ino, mtimeMs, size } = await stat(file);
    return `${ino} ${mtimeMs} ${size}`;
  });
  return [folder, ...(await Promise.all(parts))].join(' ');
}

async function isOwnFile(file: string): Promise<boolean> {
  const found = await lstat(file).catch(() => undefined);
  return found?.isFile() ?? false;
}
