/** Hub: some files of one commit, from the cache as far as they are there, from the network for the rest. */
import { NetworkError, NotFoundError } from '../errors.ts';
import { nearest } from '../nearest.ts';
import { RepoCache } from './cache.ts';
import type { HubClient } from './client.ts';
import { type DownloadJob, downloadAll } from './download.ts';
import { isCommitHash, type RepoFile } from './repo-file.ts';
import type { TransferOptions } from './transfer.ts';

export type FileStatus = 'local' | 'cached' | 'downloaded' | 'missing';

export interface SnapshotFile {
  /** Path inside the repository. */
  readonly path: string;
  readonly bytes: number;
  readonly status: FileStatus;
  /** Where it lies on this disk; undefined while it is missing. */
  readonly location: string | undefined;
}

export interface Snapshot {
  readonly repo: string;
  readonly revision: string;
  readonly commit: string;
  readonly files: readonly SnapshotFile[];
  /** False when only the cache was looked at: the commit may have more files than are known here. */
  readonly listedByHub: boolean;
}

/** Which files are wanted: a test on the path of each file of the repository, or the exact paths. */
export type Selection = ((path: string) => boolean) | readonly string[];

export interface SnapshotRequest {
  readonly repo: string;
  readonly revision: string;
  readonly selection: Selection;
  /** Folder that must have files, if only one is of interest. */
  readonly subfolder?: string | undefined;
}

export interface SnapshotOptions extends TransferOptions {
  /** Fetch nothing, write nothing. */
  readonly dryRun?: boolean | undefined;
}

interface Listing {
  readonly commit: string;
  /** Undefined when only the cache was looked at. */
  readonly listed: readonly RepoFile[] | undefined;
  /** The files that the cache has of this commit. */
  readonly cached: ReadonlyMap<string, number>;
}

interface Plan extends Snapshot {
  readonly cache: RepoCache;
  readonly jobs: readonly DownloadJob[];
}

/** Brings the wanted files of several repositories here, through one queue. Throws as `HubClient` and `downloadAll` do. */
export async function takeSnapshots(
  requests: readonly SnapshotRequest[],
  client: HubClient,
  options: SnapshotOptions,
): Promise<Snapshot[]> {
  const plans = await Promise.all(requests.map(async (request) => plan(request, client, options.signal)));
  if (options.dryRun) return plans;
  await downloadAll(
    plans.flatMap(({ jobs }) => jobs),
    client.http,
    options,
  );
  for (const { cache, revision, commit, files, listedByHub } of plans) {
    // Only now, so that a broken run leaves the name on the commit whose files are there.
    if (listedByHub && files.length > 0) await cache.writeRef(revision, commit);
  }
  return plans.map((made) => ({ ...made, files: made.files.map((file) => fetched(made, file)) }));
}

function fetched({ cache, commit }: Plan, file: SnapshotFile): SnapshotFile {
  const status = file.status === 'missing' ? 'downloaded' : file.status;
  return { ...file, status, location: cache.snapshotPath(commit, file.path) };
}

async function plan(
  request: SnapshotRequest,
  client: HubClient,
  signal: AbortSignal | undefined,
): Promise<Plan> {
  const cache = new RepoCache(client.environment, request.repo);
  const listing = await list(request, cache, client, signal);
  requireFolder(request, listing);
  const { repo, revision, selection } = request;
  const { commit, listed, cached } = listing;
  const base = { repo, revision, commit, cache, listedByHub: listed !== undefined };
  if (!listed) {
    const chosen = [...cached].filter(([path]) => isSelected(selection, path));
    const files = chosen.map(([path, bytes]) => {
      return { path, bytes, status: 'cached', location: cache.snapshotPath(commit, path) } as const;
    });
    return { ...base, files, jobs: [] };
  }
  const chosen = listed.filter(({ path }) => isSelected(selection, path));
  // A file of another length is damaged (a full disk, a broken copy): it is fetched again.
  const inSnapshot = ({ path, bytes }: RepoFile): boolean => cached.get(path) === bytes;
  const files = chosen.map(async (file): Promise<SnapshotFile> => {
    const { path, bytes, etag } = file;
    if (inSnapshot(file))
      return { path, bytes, status: 'cached', location: cache.snapshotPath(commit, path) };
    // The same content may be there under another path or commit: then only the link is missing.
    if (await cache.hasBlob(file)) return { path, bytes, status: 'cached', location: cache.blobPath(etag) };
    return { path, bytes, status: 'missing', location: undefined };
  });
  const jobs = chosen
    .filter((file) => !inSnapshot(file))
    .map((file): DownloadJob => {
      const subject = { repo, revision, path: file.path };
      return { cache, commit, file, url: client.fileUrl(repo, commit, file.path), subject };
    });
  return { ...base, files: await Promise.all(files), jobs };
}

async function list(
  request: SnapshotRequest,
  cache: RepoCache,
  client: HubClient,
  signal: AbortSignal | undefined,
): Promise<Listing> {
  const { selection, repo, revision } = request;
  const paths = typeof selection === 'function' ? undefined : [...selection];
  const known = await cachedListing(cache, revision);
  if (client.environment.offline) {
    if (!known || !holdsWanted(known, selection)) throw notCached(request, known);
    return known;
  }
  // A commit never changes: files named one by one that are all here need no question.
  if (known && isCommitHash(revision) && Array.isArray(selection) && holdsWanted(known, selection))
    return known;
  try {
    const commit = await client.commitOf(repo, revision, signal);
    const listed = paths
      ? await client.findFiles(repo, commit, paths, signal)
      : await client.listFiles(repo, commit, signal);
    const absent = paths?.find((path) => !listed.some((file) => file.path === path));
    if (absent !== undefined) throw noSuchFile(request, absent);
    const cached = known?.commit === commit ? known.cached : await cachedFiles(cache, commit);
    return { commit, listed, cached };
  } catch (error) {
    if (!(error instanceof NetworkError) || !known || !holdsWanted(known, selection)) throw error;
    client.http.onNotice(`${error.message}. Using ${repo} at commit ${known.commit} from the cache`);
    return known;
  }
}

async function cachedListing(cache: RepoCache, revision: string): Promise<Listing | undefined> {
  const commit = await cache.commitOf(revision);
  return commit === undefined
    ? undefined
    : { commit, listed: undefined, cached: await cachedFiles(cache, commit) };
}

async function cachedFiles(cache: RepoCache, commit: string): Promise<Map<string, number>> {
  return new Map((await cache.snapshotFiles(commit)).map(({ path, bytes }) => [path, bytes]));
}

/** Whether the cache has what is wanted: all of it where that can be known, else some of it. */
function holdsWanted({ cached }: Listing, selection: Selection): boolean {
  if (typeof selection === 'function') return [...cached.keys()].some(selection);
  return selection.every((path) => cached.has(path));
}

function isSelected(selection: Selection, path: string): boolean {
  return typeof selection === 'function' ? selection(path) : selection.includes(path);
}

/** Throws `NotFoundError` when the wanted subfolder has no file. */
function requireFolder({ repo, revision, subfolder }: SnapshotRequest, { listed, cached }: Listing): void {
  const paths = listed?.map(({ path }) => path) ?? [...cached.keys()];
  if (subfolder === undefined || paths.some((path) => path.startsWith(`${subfolder}/`))) return;
  const folders = paths.flatMap((path) => (path.includes('/') ? [path.slice(0, path.lastIndexOf('/'))] : []));
  const guess = nearest(subfolder, new Set(folders));
  throw new NotFoundError({
    code: 'folder_not_found',
    message: `${repo}@${revision} has no folder '${subfolder}'`,
    hint: guess
      ? `Did you mean '${repo}//${guess}'?`
      : `Look for the right folder on https://huggingface.co/${repo}.`,
  });
}

function noSuchFile({ repo, revision }: SnapshotRequest, path: string): NotFoundError {
  return new NotFoundError({
    code: 'file_not_found',
    message: `${repo}@${revision} has no file '${path}'`,
    hint: `Look for the right name on https://huggingface.co/${repo}.`,
  });
}

function notCached({ repo, revision, selection }: SnapshotRequest, known: Listing | undefined): NetworkError {
  const missing = typeof selection === 'function' ? [] : selection.filter((path) => !known?.cached.has(path));
  const what = missing.length > 0 ? `${missing.join(', ')} of ${repo}@${revision}` : `${repo}@${revision}`;
  return new NetworkError({
    code: 'offline',
    message: `${what} is not in the cache, and the network is switched off (--offline or HF_HUB_OFFLINE)`,
    hint: 'Fetch it once without --offline (`tracer load`), or check --cache-dir, HF_HOME and HF_HUB_CACHE.',
  });
}
