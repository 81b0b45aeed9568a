/** Hub: the files of a folder on this machine, by the same relative paths as those of a repository. */
import { open, readdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { NotFoundError } from '../errors.ts';
import { errnoCode } from '../formats/system-errors.ts';
import type { CachedFile } from './cache.ts';

/**
 * Every file below a folder, links followed, hidden ones (`.git`, `.cache`) left out, sorted by path.
 * Throws `NotFoundError` when there is no such folder, the path is a file, or the folder may not be read.
 */
export async function listLocalFolder(root: string): Promise<CachedFile[]> {
  try {
    if (!(await stat(root)).isDirectory()) throw notAFolder(root, 'is a file, not a folder');
    const files = await filesBelow(root, '', new Set());
    return files.sort((a, b) => (a.path < b.path ? -1 : 1));
  } catch (error) {
    switch (errnoCode(error)) {
      case 'ENOENT':
        throw notAFolder(root, 'does not exist', error);
      case 'EACCES':
        throw notAFolder(root, 'may not be read', error);
      default:
        throw error;
    }
  }
}

/** Of a link: to nothing, to itself, or through what is no folder. */
const LEADS_NOWHERE: ReadonlySet<string> = new Set(['ENOENT', 'ELOOP', 'ENOTDIR']);

const GGUF_MAGIC = 'GGUF';

/** By its name, or else by how it begins: files in Ollama's store are called by their hash. */
export async function isGgufFile(path: string): Promise<boolean> {
  if ((await localFileSize(path)) === undefined) return false;
  if (path.toLowerCase().endsWith('.gguf')) return true;
  const file = await open(path).catch(() => undefined);
  if (!file) return false; // what may not be read is an error where it is listed
  try {
    const { buffer } = await file.read(Buffer.alloc(GGUF_MAGIC.length), 0, GGUF_MAGIC.length, 0);
    return buffer.toString('latin1') === GGUF_MAGIC;
  } finally {
    await file.close();
  }
}

/** Bytes of a file; undefined where there is none. */
export async function localFileSize(path: string): Promise<number | undefined> {
  const entry = await stat(path).catch(() => undefined);
  return entry?.isFile() ? entry.size : undefined;
}

/** `above`: the real paths of the folders above this one, to notice links that form a circle. */
async function filesBelow(root: string, folder: string, above: ReadonlySet<string>): Promise<CachedFile[]> {
  const real = await realpath(join(root, folder));
  if (above.has(real)) return [];
  const inside = new Set([...above, real]);
  const names = await readdir(join(root, folder));
  const found = names
    .filter((name) => !name.startsWith('.'))
    .map(async (name): Promise<CachedFile[]> => {
      const path = folder === '' ? name : `${folder}/${name}`;
      const entry = await stat(join(root, path)).catch((error: unknown) => {
        if (LEADS_NOWHERE.has(errnoCode(error) ?? '')) return undefined; // such a link is not a file
        throw error;
      });
      if (entry?.isDirectory()) return filesBelow(root, path, inside);
      return entry?.isFile() ? [{ path, bytes: entry.size }] : [];
    });
  return (await Promise.all(found)).flat();
}

function notAFolder(path: string, what: string, cause?: unknown): NotFoundError {
  return new NotFoundError({
    code: 'folder_not_found',
    message: `${path} ${what}`,
    hint: 'Give the folder that holds config.json (a model) or config.yaml (a transcoder set), or as a model a GGUF file.',
    cause,
  });
}
