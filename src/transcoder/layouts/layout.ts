/** Transcoder layouts: what recognising and describing a set needs of each. One layout of folders a file in this folder. */
import type { SetDescription } from '../description.ts';
import type { SetFiles } from '../set-files.ts';

export interface Layout {
  readonly name: string;
  /** The files that it is recognised by, for messages. */
  readonly lookedFor: string;
  recognises(paths: readonly string[]): boolean;
  /** Reads the configuration files. Throws `BadFileError` for what is not a set that can be traced. */
  describe(files: SetFiles): Promise<SetDescription>;
  /** Whether a file says what the set is: such files are read to describe it. */
  isConfig(path: string): boolean;
}

/** The folder of a path, with its slash; empty for a file at the top. */
export function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/') + 1);
}

/** Folders that have this file, in the order of their names. */
export function foldersWith(paths: readonly string[], file: string): string[] {
  return paths
    .filter((path) => path === folderOf(path) + file)
    .map(folderOf)
    .sort();
}

/** Whether a folder has both files. */
export function hasFolderWith(paths: readonly string[], first: string, second: string): boolean {
  const known = new Set(paths);
  return foldersWith(paths, first).some((folder) => known.has(folder + second));
}
