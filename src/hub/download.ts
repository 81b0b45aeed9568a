/** Hub, step 3: missing files into the cache, a few at a time, each locked, checked and named only when it is right. */
import { rm } from 'node:fs/promises';
import { BadFileError, ExhaustedError } from '../errors.ts';
import { acquireLock } from '../formats/lock.ts';
import { replaceFile } from '../formats/replace-file.ts';
import { errnoCode } from '../formats/system-errors.ts';
import type { RepoCache } from './cache.ts';
import { diskError, requireDiskSpace } from './disk.ts';
import { isLargeFile, type RepoFile } from './repo-file.ts';
import type { HubHttp } from './http.ts';
import type { Subject } from './refusal.ts';
import { transfer, type TransferOptions } from './transfer.ts';

/** A file that is to be in a snapshot. */
export interface DownloadJob {
  readonly cache: RepoCache;
  readonly commit: string;
  readonly file: RepoFile;
  readonly url: string;
  readonly subject: Subject;
}

const FILES_AT_ONCE = 4; // enough to use the whole bandwidth
const WHOLE_TRIES = 2; // wrong bytes twice in a row are not a transmission error

/**
 * Brings every file into its snapshot. The first error stops the others; what they have so far stays for the next run.
 * Throws `ExhaustedError` (disk), `BadFileError` (wrong bytes twice), `NotFoundError`, `NetworkError`, or the signal's reason.
 */
export async function downloadAll(
  jobs: readonly DownloadJob[],
  http: HubHttp,
  options: TransferOptions,
): Promise<void> {
  options.signal?.throwIfAborted();
  for (const [folder, bytes] of await missingBytes(jobs)) await requireDiskSpace(folder, bytes);
  const stop = new AbortController();
  const onAbort = (): void => stop.abort(options.signal?.reason);
  options.signal?.addEventListener('abort', onAbort);
  const queue = [...jobs];
  const work = async (): Promise<void> => {
    for (let job = queue.shift(); job && !stop.signal.aborted; job = queue.shift()) {
      await downloadOne(job, http, { ...options, signal: stop.signal });
    }
  };
  const workers = Array.from({ length: FILES_AT_ONCE }, work);
  try {
    await Promise.all(workers);
    options.signal?.throwIfAborted();
  } catch (error) {
    stop.abort(error);
    await Promise.allSettled(workers); // each worker closes its files before this function ends
    throw error;
  } finally {
    options.signal?.removeEventListener('abort', onAbort);
  }
}

/** Bytes still to come, per cache folder. */
async function missingBytes(jobs: readonly DownloadJob[]): Promise<Map<string, number>> {
  const total = new Map<string, number>();
  for (const { cache, file } of jobs) {
    const bytes = (await cache.hasBlob(file))
      ? 0
      : Math.max(0, file.bytes - (await cache.incompleteBytes(file)));
    total.set(cache.cacheDir, (total.get(cache.cacheDir) ?? 0) + bytes);
  }
  return total;
}

async function downloadOne(job: DownloadJob, http: HubHttp, options: TransferOptions): Promise<void> {
  const { cache, commit, file } = job;
  await using _lock = await lockBlob(job, http, options);
  // Another process may have placed the file meanwhile; where there are no links, there is then no blob.
  if ((await cache.cachedBytes(commit, file.path)) === file.bytes) return;
  const isNewBlob = !(await cache.hasBlob(file));
  if (isNewBlob) await fetchBlob(job, http, options);
  await cache.placeInSnapshot(commit, file, isNewBlob);
}

async function lockBlob(
  { cache, file }: DownloadJob,
  http: HubHttp,
  { signal }: TransferOptions,
): Promise<AsyncDisposable> {
  const path = cache.lockPath(file.etag);
  try {
    return await acquireLock(path, {
      signal,
      onWait: () => http.onNotice(`another process is fetching ${file.path}; waiting for it`),
    });
  } catch (error) {
    throw diskError(error instanceof ExhaustedError ? (error.cause ?? error) : error, path);
  }
}

async function fetchBlob(
  { cache, file, url, subject }: DownloadJob,
  http: HubHttp,
  options: TransferOptions,
): Promise<void> {
  const incompletePath = cache.incompletePath(file.etag);
  for (let tries = 1; tries <= WHOLE_TRIES; tries++) {
    if (await transfer({ file, url, subject, incompletePath }, http, options)) {
      await giveName(incompletePath, cache, file);
      return;
    }
    await rm(incompletePath, { force: true });
    http.onNotice(`${file.path} arrived with wrong bytes and was thrown away`);
  }
  throw new BadFileError({
    code: 'wrong_bytes',
    message: `${url} sent other bytes than the Hub lists: expected ${file.bytes} bytes with ${isLargeFile(file) ? 'sha256' : 'git sha1'} ${file.etag}, in ${WHOLE_TRIES} tries`,
    hint: 'Something between here and the Hub alters files (a proxy, a mirror in HF_ENDPOINT). Nothing of it was kept.',
  });
}

async function giveName(incompletePath: string, cache: RepoCache, file: RepoFile): Promise<void> {
  try {
    await replaceFile(incompletePath, cache.blobPath(file.etag));
  } catch (error) {
    // Where locks do not work (some network disks), another process may have renamed the file already.
    if (errnoCode(error) === 'ENOENT' && (await cache.hasBlob(file))) return;
    throw diskError(error, incompletePath);
  }
}
