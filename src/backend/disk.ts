/** Sizes of folders and free disk, for checks before large files are written and for `tracer doctor`. */
import { constants } from 'node:fs';
import { access, lstat, readdir, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errnoCode } from '../formats/system-errors.ts';

/** Bytes of all files below a folder; links are not followed, and files that vanish meanwhile do not count. */
export async function folderBytes(folder: string): Promise<number> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  let bytes = 0;
  for (const entry of entries) {
    if (entry.isFile()) bytes += await fileBytes(join(entry.parentPath, entry.name));
  }
  return bytes;
}

async function fileBytes(path: string): Promise<number> {
  try {
    return (await lstat(path)).size;
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return 0;
    throw error;
  }
}

export interface FolderState {
  readonly exists: boolean;
  /** The folder, or where it would be made, may be written. */
  readonly writable: boolean;
  readonly freeBytes: number;
}

/** What can be said about a folder that need not be there yet: then its nearest parent decides. */
export async function folderState(path: string): Promise<FolderState> {
  let nearest = path;
  while (!(await may(nearest, constants.F_OK)) && nearest !== dirname(nearest)) nearest = dirname(nearest);
  const { bavail, bsize } = await statfs(nearest);
  return {
    exists: nearest === path,
    writable: await may(nearest, constants.W_OK),
    freeBytes: bavail * bsize,
  };
}

function may(path: string, mode: number): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  );
}
