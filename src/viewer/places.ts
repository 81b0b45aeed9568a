/** Viewer, the list of graphs: files of a served folder, links looked through and never followed out of it. */
import { readdir, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { errnoCode } from '../formats/system-errors.ts';
import { ANNOTATIONS_ENDING } from './annotations-file.ts';
import { GRAPH_LIST_FILE } from '../graph/viewer-files.ts';
import { describeListed, readGraphList, type Description } from './describe.ts';

export const GRAPH_EXTENSION = '.safetensors';
export const VIEWER_EXTENSION = '.json';

/** A file that may be a graph. */
export interface Candidate {
  /** As it is called where it was found. */
  readonly path: string;
  /** What a link may not lead out of, itself without links; null for a file that was named by whoever serves it. */
  readonly folder: string | null;
  /** What the folder's own list says of it. */
  readonly listed?: Description | undefined;
}

/** Where a candidate really lies. */
export interface Place {
  /** Links followed, except out of the folder. */
  readonly file: string;
  readonly bytes: number;
  /** Changes whenever the file does. */
  readonly version: string;
  readonly problem: string | null;
}

/** Files of a folder that may be graphs, by name. */
export async function candidatesOf(folder: string): Promise<Candidate[]> {
  const listed = await readGraphList(path.join(folder, GRAPH_LIST_FILE));
  const names = (await readdir(folder)).filter(isCandidate).sort();
  return names.map((name) => {
    const { name: slug, ext } = path.parse(name);
    const metadata = ext === VIEWER_EXTENSION ? listed.get(slug) : undefined;
    return { path: path.join(folder, name), folder, listed: metadata && describeListed(metadata) };
  });
}

function isCandidate(name: string): boolean {
  const isGraph = name.endsWith(GRAPH_EXTENSION) || name.endsWith(VIEWER_EXTENSION);
  return isGraph && !name.startsWith('.') && name !== GRAPH_LIST_FILE && !name.endsWith(ANNOTATIONS_ENDING);
}

/** Null for what is no file, or is gone since it was listed. */
export async function placeOf({ path: name, folder }: Candidate): Promise<Place | null> {
  try {
    const file = await realpath(name);
    if (folder !== null && !isInside(folder, file)) {
      const problem = `${path.basename(name)} is a link that leads out of the folder`;
      return { file: name, bytes: 0, version: 'outside', problem };
    }
    const stats = await stat(file);
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
