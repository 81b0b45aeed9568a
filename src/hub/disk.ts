/** Hub: free space on the disk, and errors for writes that fail. */
import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ExhaustedError } from '../errors.ts';
import { errnoCode } from '../formats/system-errors.ts';

/** Bytes that this user may still write below `folder`, which need not exist yet. */
export async function freeDiskBytes(folder: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  } catch (error) {
    const parent = dirname(folder);
    if (errnoCode(error) !== 'ENOENT' || parent === folder) throw diskError(error, folder);
    return freeDiskBytes(parent);
  }
}

/** Throws `ExhaustedError` when fewer than `neededBytes` are free below `folder`. */
export async function requireDiskSpace(folder: string, neededBytes: number): Promise<void> {
  const freeBytes = await freeDiskBytes(folder);
  if (freeBytes >= neededBytes) return;
  throw new ExhaustedError({
    code: 'disk_full',
    message: `${folder} has ${readable(freeBytes)} free, the download needs ${readable(neededBytes)}`,
    hint: 'Make room, or choose another disk with --cache-dir or HF_HUB_CACHE.',
  });
}

/** The error for a failed write; errors that do not concern the disk are returned unchanged. */
export function diskError(error: unknown, path: string): unknown {
  switch (errnoCode(error)) {
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EFBIG':
      return new ExhaustedError({
        code: 'disk_full',
        message: `the disk or quota is full: ${path} could not be written`,
        hint: 'Make room and start again: what was fetched so far is kept. --cache-dir or HF_HUB_CACHE choose another disk.',
        cause: error,
      });
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return unwritable(`${path} cannot be written (${errnoCode(error)})`, error);
    case 'ENOTDIR':
    case 'EEXIST':
      return unwritable(`${path} cannot be written: there is a file where a folder is needed`, error);
    default:
      return error;
  }
}

function unwritable(message: string, cause: unknown): ExhaustedError {
  return new ExhaustedError({
    code: 'cache_unwritable',
    message,
    hint: 'Choose a folder that you may write with --cache-dir or HF_HUB_CACHE.',
    cause,
  });
}

function readable(bytes: number): string {
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
