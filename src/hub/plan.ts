/**
 * Hub: which commit and which files of it are meant, and what has to be fetched. The Hub decides where it answers. Where it
 * does not, or refuses, the cache is enough if it has all that is needed, as in Python's huggingface_hub.
 */
import { NetworkError, NotFoundError, TracerError } from '../errors.ts';
import { nearest } from '../nearest.ts';
import { RepoCache } from './cache.ts';
import type { AskOptions, HubClient } from './client.ts';
import type { DownloadJob } from './download.ts';
import { namesCommit, type RepoFile } from './repo-file.ts';
import type { Selection, Snapshot, SnapshotFile, SnapshotRequest } from './snapshot-types.ts';

export interface PlanOptions extends AskOptions {
  /** Fetch nothing, write nothing. */
  readonly dryRun?: boolean | undefined;
}

export interface Plan extends Snapshot {
  readonly cache: RepoCache;
  readonly jobs: readonly DownloadJob[];
}

/** What the Hub says of a revision. */
interface Listing {
  readonly commit: string;
  readonly listed: readonly RepoFile[];
}

/**
 * The wanted files, and which of them are to be fetched. Throws the Hub's refusal or `NetworkError` where the cache is not
 * enough, and `NotFoundError` for a file or folder that the repository does not have.
 */
export async function planSnapshot(
  request: SnapshotRequest,
  client: HubClient,
  options: PlanOptions,
): Promise<Plan> {
  const { repo, revision, selection } = request;
  const cache = new RepoCache(client.environment, repo);
  const commit = await cache.commitOf(revision);
  const known = commit === undefined ? undefined : await planFromCache(request, cache, commit);
  if (client.environment.offline) {
    if (!known || !holdsWanted(known, selection)) throw notCached(request, known);
    return known;
  }
  if (!known) return planFromHub(request, cache, await askHub(request, client, options), client);
  // A commit never changes: when all files that are named one by one are cached, the Hub is not asked.
  const isComplete = typeof selection !== 'function' && holdsWanted(known, selection);
  if (isComplete && namesCommit(revision, known.commit)) return known;

  const asked = await planUnlessRefused(request, known, client, options);
  options.signal?.throwIfAborted();
  if (!(asked instanceof TracerError)) return asked;
  if (await request.isEnough(known)) return useCachedPlan(known, asked, client);
  if (!(asked instanceof NetworkError)) throw asked;
  return planFromHub(request, cache, await askHub(request, client, options, known), client);
}

/** The plan that follows from the Hub's answer to one short try; the refusal where it refuses or does not answer. */
async function planUnlessRefused(
  request: SnapshotRequest,
  known: Plan,
  client: HubClient,
  { signal, dryRun }: PlanOptions,
): Promise<Plan | TracerError> {
  const once = { signal, tries: 'one' } as const;
  const listing = await refusalOr(askHub(request, client, once, known));
  if (listing instanceof TracerError) return listing;
  const plan = await planFromHub(request, known.cache, listing, client);
  if (!dryRun) return plan;
  // A dry run comes first and decides which commit is used, so access to the files is checked here. Everybody may list a
  // gated repository, but not fetch its files, and the content network may be down: only a request for a file shows it.
  // The largest file is on the content network, if any is.
  const [largest] = plan.files.filter(({ status }) => status === 'missing').sort((a, b) => b.bytes - a.bytes);
  const job = plan.jobs.find(({ file }) => file.path === largest?.path);
  if (job === undefined || !(await request.isEnough(known))) return plan;
  return (await refusalOr(client.requireAccess(job, once))) ?? plan;
}

async function refusalOr<T>(work: Promise<T>): Promise<T | TracerError> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof TracerError) return error;
    throw error;
  }
}

async function askHub(
  { repo, revision, selection }: SnapshotRequest,
  client: HubClient,
  options: AskOptions,
  known?: Plan,
): Promise<Listing> {
  const isKnown = known !== undefined && namesCommit(revision, known.commit);
  const commit = isKnown ? known.commit : await client.commitOf(repo, revision, options);
  const listed =
    typeof selection === 'function'
      ? await client.listFiles(repo, commit, options)
      : await client.findFiles(repo, commit, [...selection], options);
  return { commit, listed };
}

async function planFromHub(
  request: SnapshotRequest,
  cache: RepoCache,
  { commit, listed }: Listing,
  client: HubClient,
): Promise<Plan> {
  const { repo, revision, selection } = request;
  const absent = typeof selection !== 'function' && selection.find((path) => !has(listed, path));
  if (typeof absent === 'string') throw noSuchFile(request, absent);
  requireFolder(request, listed);
  const chosen = listed.filter(({ path }) => isSelected(selection, path));
  const cached = new Map((await cache.snapshotFiles(commit)).map(({ path, bytes }) => [path, bytes]));
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
  return { repo, revision, commit, cache, listedByHub: true, files: await Promise.all(files), jobs };
}

async function planFromCache(
  { repo, revision, selection }: SnapshotRequest,
  cache: RepoCache,
  commit: string,
): Promise<Plan> {
  const chosen = (await cache.snapshotFiles(commit)).filter(({ path }) => isSelected(selection, path));
  const files = chosen.map(({ path, bytes }) => {
    return { path, bytes, status: 'cached', location: cache.snapshotPath(commit, path) } as const;
  });
  return { repo, revision, commit, cache, listedByHub: false, files, jobs: [] };
}

function useCachedPlan(known: Plan, refusal: TracerError, client: HubClient): Plan {
  client.useCached(known.repo, known.revision, known.commit, refusal);
  return { ...known, refusal };
}

/** Whether the cache has what is wanted: all of it where that can be known, else some of it. */
function holdsWanted({ files }: Plan, selection: Selection): boolean {
  if (typeof selection === 'function') return files.length > 0;
  return selection.every((path) => has(files, path));
}

function has(files: readonly { readonly path: string }[], path: string): boolean {
  return files.some((file) => file.path === path);
}

function isSelected(selection: Selection, path: string): boolean {
  return typeof selection === 'function' ? selection(path) : selection.includes(path);
}

/** Throws `NotFoundError` when the wanted subfolder has no file. */
function requireFolder({ repo, revision, subfolder }: SnapshotRequest, listed: readonly RepoFile[]): void {
  const paths = listed.map(({ path }) => path);
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

function notCached({ repo, revision, selection }: SnapshotRequest, known: Plan | undefined): NetworkError {
  const missing =
    typeof selection === 'function' ? [] : selection.filter((path) => !has(known?.files ?? [], path));
  const what = missing.length > 0 ? `${missing.join(', ')} of ${repo}@${revision}` : `${repo}@${revision}`;
  return new NetworkError({
    code: 'offline',
    message: `${what} is not in the cache, and the network is switched off (--offline or HF_HUB_OFFLINE)`,
    hint: 'Fetch it once without --offline (`tracer load`), or check --cache-dir, HF_HOME and HF_HUB_CACHE.',
  });
}
