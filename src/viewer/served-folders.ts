/** Viewer: served folders, and those in them, where trainings and studies are found. */
import { readdir, realpath, stat } from 'node:fs/promises';
import path from 'node:path';

/** The real paths of those of the served paths that are folders. */
export async function servedFolders(paths: readonly string[]): Promise<string[]> {
  const folders: string[] = [];
  for (const given of paths) if ((await stat(given)).isDirectory()) folders.push(await realpath(given));
  return folders;
}

/** Folders in a folder, by name. Links are not followed. */
export async function subfolders(root: string): Promise<string[]> {
  const below = (await readdir(root, { withFileTypes: true })).filter((entry) => entry.isDirectory());
  return below.map(({ name }) => path.join(root, name)).sort();
}

/** The second `x` is `x-2`. */
export function unusedName(name: string, taken: ReadonlyMap<string, unknown>): string {
  let free = name;
  for (let n = 2; taken.has(free); n++) free = `${name}-${n}`;
  return free;
}
