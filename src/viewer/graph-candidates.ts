/** Viewer: the files of a served folder that may be graphs. Symbolic links are resolved, but not followed out of the folder. */
import { lstat, readdir, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { errnoCode } from '../formats/system-errors.ts';
import { ANNOTATIONS_ENDING } from './annotations-file.ts';
import { ATTENTION_ENDING } from './attention-file.ts';
import { GRAPH_LIST_FILE } from '../graph/viewer-files.ts';
import { describeListed, readGraphList, type Description } from './describe.ts';

export const GRAPH_EXTENSION = '.safetensors';
export const VIEWER_EXTENSION = '.json';

/** A file that may be a graph, before it is opened. */
export interface Candidate {
  /** Path under which it was found; links are not resolved. */
  readonly path: string;
  /** Real path of the folder that a link must not lead out of; null for a file that was named on the command line. */
  readonly folder: string | null;
  /** Whether it is a file of its own, so that there is no link to resolve. */
  readonly isFile: boolean;
  /** Its entry in the folder's `graph-metadata.json`. */
  readonly listed?: Description | undefined;
}

export interface FolderList {
  /** Of everything in the folder. */
  readonly names: readonly string[];
  /** Files that may be graphs, sorted by name. */
  readonly candidates: readonly Candidate[];
}

/** A candidate after its links were resolved. */
export interface ResolvedFile {
  /** Real path, or the path of a link that leads out of the folder. */
  readonly file: string;
  readonly bytes: number;
  /** Changes whenever the file does. */
  readonly version: string;
  readonly problem: string | null;
}

/** @param folder its real path */
export async function listFolder(folder: string): Promise<FolderList> {
  const listed = await readGraphList(path.join(folder, GRAPH_LIST_FILE));
  const found = await readdir(folder, { withFileTypes: true });
  const candidates = found
    .filter(({ name }) => isCandidate(name))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((entry): Candidate => {
      const { name: slug, ext } = path.parse(entry.name);
      const metadata = ext === VIEWER_EXTENSION ? listed.get(slug) : undefined;
      return {
        ...{ path: path.join(folder, entry.name), folder, isFile: entry.isFile() },
        listed: metadata && describeListed(metadata),
      };
    });
  return { names: found.map(({ name }) => name), candidates };
}

/** Endings of files beside graphs. */
const OTHER_ENDINGS = [ANNOTATIONS_ENDING, ATTENTION_ENDING];

function isCandidate(name: string): boolean {
  const isGraph = name.endsWith(GRAPH_EXTENSION) || name.endsWith(VIEWER_EXTENSION);
  const isOther = name === GRAPH_LIST_FILE || OTHER_ENDINGS.some((ending) => name.endsWith(ending));
  return isGraph && !name.startsWith('.') && !isOther;
}

/** Null for what is not a file, or was deleted since it was listed. */
export async function resolveCandidate(candidate: Candidate): Promise<ResolvedFile | null> {
  const { path: name, folder } = candidate;
  try {
    const file = candidate.isFile ? name : await realpath(name);
    if (folder !== null && !isInside(folder, file)) {
      const problem = `${path.basename(name)} is a link that leads out of the folder`;
      return { file: name, bytes: 0, version: 'outside', problem };
    }
    const stats = await (candidate.isFile ? lstat(file) : stat(file));
    if (!stats.isFile()) return null;
    const version = `${file} ${stats.ino} ${stats.mtimeMs} ${stats.size}`;
    return { file, bytes: stats.size, version, problem: null };
  } catch (error) {
    if (errnoCode(error) === undefined) throw error;
    return null;
  }
}

function isInside(folder: string, file: string): boolean {
  return file.startsWith(folder.endsWith(path.sep) ? folder : folder + path.sep);
}
