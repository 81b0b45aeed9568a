/**
 * Hub: the cache on disk, in the layout of Python's huggingface_hub, shared in both directions:
 * `models--owner--name/blobs/<etag>`, `snapshots/<commit>/<path>` (relative links to blobs), `refs/<revision>`
 * (the commit a name stood for), and beside it `.locks/models--owner--name/<etag>.lock`.
 */
import { randomUUID } from 'node:crypto';
import {
  copyFile,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { errnoCode } from '../formats/system-errors.ts';
import { diskError } from './disk.ts';
import { isCommitHash, type RepoFile } from './repo-file.ts';

export interface CachedFile {
  /** Path inside the repository, with forward slashes. */
  readonly path: string;
  readonly bytes: number;
}

/** The part of the cache that belongs to one repository. Paths and etags given to it were checked before. */
export class RepoCache {
  readonly cacheDir: string;
  readonly #name: string;

  constructor(cacheDir: string, repo: string) {
    this.cacheDir = cacheDir;
    this.#name = `models--${repo.replace('/', '--')}`;
  }

  blobPath(etag: string): string {
    return join(this.cacheDir, this.#name, 'blobs', etag);
  }

  /** Where a blob grows until it is complete and checked. */
  incompletePath(etag: string): string {
    return `${this.blobPath(etag)}.incomplete`;
  }

  lockPath(etag: string): string {
    return join(this.cacheDir, '.locks', this.#name, `${etag}.lock`);
  }

  snapshotPath(commit: string, path = ''): string {
    return join(this.cacheDir, this.#name, 'snapshots', commit, ...path.split('/'));
  }

  /** Where a part of a file is kept that was fetched by range. */
  partPath(commit: string, path: string, start: number, stop: number): string {
    return join(this.cacheDir, this.#name, 'parts', commit, ...path.split('/'), `${start}-${stop}`);
  }

  #refPath(revision: string): string {
    return join(this.cacheDir, this.#name, 'refs', ...revision.split('/'));
  }

  /** The commit that a revision stood for when it was last looked up here, or undefined. */
  async commitOf(revision: string): Promise<string | undefined> {
    if (isCommitHash(revision)) return revision;
    const text = await readIfThere(this.#refPath(revision));
    const commit = text?.trim();
    return commit && isCommitHash(commit) ? commit : undefined;
  }

  /** Remembers what a revision stands for. A cache that may only be read stays as it is: it works without. */
  async writeRef(revision: string, commit: string): Promise<void> {
    if (revision === commit || (await this.commitOf(revision)) === commit) return;
    const path = this.#refPath(revision);
    const draft = `${path}.${randomUUID().slice(0, 8)}.tmp`;
    try {
      await mkdir(dirname(path), { recursive: true });
      await writeFile(draft, commit);
      await rename(draft, path);
    } catch (error) {
      if (!['EACCES', 'EPERM', 'EROFS'].includes(errnoCode(error) ?? '')) throw diskError(error, path);
    }
  }

  /** Bytes of a file of a snapshot, or undefined when it is not there (or its link leads nowhere). */
  async cachedBytes(commit: string, path: string): Promise<number | undefined> {
    return bytesOf(this.snapshotPath(commit, path));
  }

  /** Whether a complete blob is there; one of another length is not. */
  async hasBlob(file: RepoFile): Promise<boolean> {
    return (await bytesOf(this.blobPath(file.etag))) === file.bytes;
  }

  /** Whether bytes [start, stop) of a file are kept; a part of another length is not. */
  async hasPart(commit: string, path: string, start: number, stop: number): Promise<boolean> {
    return (await bytesOf(this.partPath(commit, path, start, stop))) === stop - start;
  }

  /** Bytes that an interrupted download of a blob left behind. */
  async incompleteBytes(file: RepoFile): Promise<number> {
    return (await bytesOf(this.incompletePath(file.etag))) ?? 0;
  }

  /** The files of a snapshot that are there, by path. */
  async snapshotFiles(commit: string): Promise<CachedFile[]> {
    const root = this.snapshotPath(commit);
    const names = await namesBelow(root);
    const files = await Promise.all(
      names.map(async (path) => ({ path, bytes: await this.cachedBytes(commit, path) })),
    );
    return files.flatMap(({ path, bytes }) => (bytes === undefined ? [] : [{ path, bytes }]));
  }

  /** Puts a blob into a snapshot under its path, replacing a link that leads elsewhere. */
  async linkIntoSnapshot(commit: string, file: RepoFile): Promise<void> {
    const path = this.snapshotPath(commit, file.path);
    const target = relative(dirname(path), this.blobPath(file.etag));
    if ((await readlink(path).catch(() => undefined)) === target) return;
    // Made aside and renamed, so that another process never finds the place empty.
    const draft = `${path}.${randomUUID().slice(0, 8)}.tmp`;
    try {
      await mkdir(dirname(path), { recursive: true });
      await symlink(target, draft).catch(async (error: unknown) => {
        if (!['EPERM', 'ENOTSUP', 'ENOSYS', 'EOPNOTSUPP'].includes(errnoCode(error) ?? '')) throw error;
        await copyFile(this.blobPath(file.etag), draft); // a disk without links
      });
      await rename(draft, path);
    } catch (error) {
      await rm(draft, { force: true });
      throw diskError(error, path);
    }
  }
}

async function bytesOf(path: string): Promise<number | undefined> {
  try {
    const found = await stat(path);
    return found.isFile() ? found.size : undefined;
  } catch (error) {
    return nothingIfAbsent(error);
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    return nothingIfAbsent(error);
  }
}

async function namesBelow(root: string, folder = ''): Promise<string[]> {
  const entries = await readdir(join(root, folder), { withFileTypes: true }).catch(nothingIfAbsent);
  const nested = (entries ?? []).map(async (entry) => {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
    return entry.isDirectory() ? namesBelow(root, path) : [path];
  });
  return (await Promise.all(nested)).flat();
}

function nothingIfAbsent(error: unknown): undefined {
  if (['ENOENT', 'ENOTDIR', 'EISDIR', 'ELOOP'].includes(errnoCode(error) ?? '')) return undefined;
  throw error;
}
