/**
 * Hub: the cache on disk, in the layout of Python's huggingface_hub, shared in both directions:
 * `models--owner--name/blobs/<etag>`, `snapshots/<commit>/<path>` (relative links to blobs, or files where a disk has no
 * links), `refs/<revision>` (the commit a name stood for), and beside it `.locks/models--owner--name/<etag>.lock`.
 */
import { randomUUID } from 'node:crypto';
import {
  copyFile,
  link,
  mkdir,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { replaceFile } from '../formats/replace-file.ts';
import { errnoCode } from '../formats/system-errors.ts';
import { diskError } from './disk.ts';
import type { HubEnvironment } from './environment.ts';
import { isDataset, isCommitHash, isShortHash, type RepoFile } from './repo-file.ts';

export interface CachedFile {
  /** Path inside the repository, with forward slashes. */
  readonly path: string;
  readonly bytes: number;
}

/** Where the cache lies, and whether it may hold links. */
export type CachePlace = Pick<HubEnvironment, 'cacheDir' | 'mayLink'>;

/** The part of the cache that belongs to one repository. Paths and etags given to it were checked before. */
export class RepoCache {
  readonly cacheDir: string;
  readonly #mayLink: boolean;
  readonly #name: string;

  constructor({ cacheDir, mayLink }: CachePlace, repo: string) {
    this.cacheDir = cacheDir;
    this.#mayLink = mayLink;
    // `datasets/owner/name` has its kind in front already.
    this.#name = (isDataset(repo) ? repo : `models/${repo}`).replaceAll('/', '--');
  }

  blobPath(etag: string): string {
    return join(this.cacheDir, this.#name, 'blobs', etag);
  }

  /** The file that a blob is downloaded into until it is complete and checked. */
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

  /**
   * The commit that a revision stood for when it was last looked up, or undefined. For a shortened hash Python writes a ref,
   * as for a branch. Without a ref it is the snapshot whose name begins with the hash, if there is exactly one.
   */
  async commitOf(revision: string): Promise<string | undefined> {
    if (isCommitHash(revision)) return revision;
    const named = (await readIfThere(this.#refPath(revision)))?.trim();
    if (named && isCommitHash(named)) return named;
    if (!isShortHash(revision)) return undefined;
    const snapshots = await readdir(this.snapshotPath('')).catch(nothingIfAbsent);
    const found = (snapshots ?? []).filter((name) => isCommitHash(name) && name.startsWith(revision));
    return found.length === 1 ? found[0] : undefined;
  }

  /** Stores the commit of a revision as a ref. A read-only cache is left as it is: it can be used without the ref. */
  async writeRef(revision: string, commit: string): Promise<void> {
    const path = this.#refPath(revision);
    if (revision === commit || (await readIfThere(path))?.trim() === commit) return;
    try {
      await mkdir(dirname(path), { recursive: true });
      await viaDraft(`${path}.${shortId()}.tmp`, path, (draft) => writeFile(draft, commit));
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

  /**
   * Puts a blob into a snapshot under its path, replacing what is there: as a link, or as a file where there are no links. In
   * that case a new blob is moved, as in Python: nothing else points to it, and models are too large to be kept twice.
   */
  async placeInSnapshot(commit: string, file: RepoFile, isNewBlob: boolean): Promise<void> {
    const path = this.snapshotPath(commit, file.path);
    const blob = this.blobPath(file.etag);
    try {
      await mkdir(dirname(path), { recursive: true });
      if (this.#mayLink && (await linkTo(blob, path))) return;
      if (isNewBlob) await replaceFile(blob, path);
      else await viaDraft(`${blob}.${shortId()}.tmp`, path, (draft) => copyFile(blob, draft));
    } catch (error) {
      throw diskError(error, path);
    }
  }
}

/** Whether a link to a blob could be made: a symbolic one, or a second name of the file. */
async function linkTo(blob: string, path: string): Promise<boolean> {
  const target = relative(dirname(path), blob);
  if ((await readlink(path).catch(() => undefined)) === target) return true;
  for (const make of [(draft: string) => symlink(target, draft), (draft: string) => link(blob, draft)]) {
    const isMade = await viaDraft(`${path}.${shortId()}.tmp`, path, make).then(
      () => true,
      () => false, // the error for a refused link differs between file systems
    );
    if (isMade) return true;
  }
  return false;
}

/** Makes a file or link under the name `draft` and renames it, so that `path` is never missing while it is replaced. */
async function viaDraft(draft: string, path: string, make: (draft: string) => Promise<void>): Promise<void> {
  try {
    await make(draft);
    await replaceFile(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

function shortId(): string {
  return randomUUID().slice(0, 8);
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
