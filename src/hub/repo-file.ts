/** Hub: what the Hub says about one file of a commit, checked before it becomes a name on this disk. */
import { BadFileError } from '../errors.ts';
import { isSafePath } from '../formats/safe-path.ts';

export interface RepoFile {
  /** Path inside the repository, with forward slashes. */
  readonly path: string;
  readonly bytes: number;
  /** Name of the blob: sha256 of the content of large files, git's sha1 of small ones. */
  readonly etag: string;
}

/** An entry of the Hub's `tree` and `paths-info` answers, as far as it is used. */
export interface ListedEntry {
  readonly path: string;
  readonly size: number;
  readonly oid?: string | undefined;
  readonly lfs?: { readonly oid: string; readonly size: number } | undefined;
}

const SHA256 = /^[0-9a-f]{64}$/;
const GIT_SHA1 = /^[0-9a-f]{40}$/;
const SHORT_SHA1 = /^[0-9a-f]{7,39}$/;

/** Whether a revision is a full commit hash, which needs no looking up and never changes its content. */
export function isCommitHash(revision: string): boolean {
  return GIT_SHA1.test(revision);
}

/** Whether a revision is a shortened commit hash, or could be one: git shortens to seven digits and more. */
export function isShortHash(revision: string): boolean {
  return SHORT_SHA1.test(revision);
}

/** Whether a revision reads as a commit, whole or shortened, where it is known to be no branch that is named so. */
export function isCommitName(revision: string): boolean {
  return isCommitHash(revision) || isShortHash(revision);
}

/** Whether a revision names a commit itself, whole or shortened, and not a branch or tag that may move. */
export function namesCommit(revision: string, commit: string): boolean {
  return revision === commit || (isShortHash(revision) && commit.startsWith(revision));
}

export function isLargeFile(file: RepoFile): boolean {
  return SHA256.test(file.etag);
}

/** Checks an entry of a listing, since its path and hash become names on this disk. Throws `BadFileError`. */
export function toRepoFile(entry: ListedEntry, repo: string): RepoFile {
  const etag = entry.lfs ? entry.lfs.oid.replace(/^sha256:/, '') : (entry.oid ?? '');
  const bytes = entry.lfs?.size ?? entry.size;
  const hash = entry.lfs ? SHA256 : GIT_SHA1;
  if (!isSafePath(entry.path) || !hash.test(etag) || !Number.isSafeInteger(bytes) || bytes < 0) {
    throw new BadFileError({
      code: 'bad_listing',
      message:
        `the Hub's listing of ${repo} has an entry that cannot be used: path ${JSON.stringify(entry.path)}, ` +
        `size ${String(bytes)}, hash '${etag}'; expected a path inside the repository, a size and a ${entry.lfs ? 'sha256' : 'sha1'}`,
      hint: 'If HF_ENDPOINT points to a mirror, try without it.',
    });
  }
  return { path: entry.path, bytes, etag };
}

/** In front of the name of a repository that is a dataset. */
export const DATASETS = 'datasets/';

export function isDataset(repo: string): boolean {
  return repo.startsWith(DATASETS);
}
