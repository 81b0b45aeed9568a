/**
 * Hub: a part of a file of a commit, fetched by range and kept in the repository's folder of the cache
 * (`parts/<commit>/<path>/<start>-<stop>`), so that it can be read again without a network. Commits never change, so a part
 * stays valid. Python's huggingface_hub does not touch that folder.
 */
import { ExhaustedError } from '../errors.ts';
import { writeFileAtomic } from '../formats/atomic.ts';
import { openFileSource } from '../formats/byte-source.ts';
import { RepoCache } from './cache.ts';
import type { AskOptions, HubClient } from './client.ts';
import { RemoteSource } from './remote-source.ts';

export interface FilePart {
  readonly repo: string;
  readonly commit: string;
  /** Path inside the repository. */
  readonly path: string;
  /** Bytes [start, stop). */
  readonly start: number;
  readonly stop: number;
}

/**
 * The bytes of a part: from the cache, else exactly these from the network. Throws `NetworkError` when it is not cached and
 * the network is off or fails, `NotFoundError` without such a file, `BadFileError` for a part beyond the end of a cached file.
 */
export async function readPart(
  part: FilePart,
  client: HubClient,
  { signal, tries }: AskOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const { repo, commit, path, start, stop } = part;
  const cache = new RepoCache(client.environment, repo);
  const kept = cache.partPath(commit, path, start, stop);
  const target = new Uint8Array(stop - start);
  if ((await cache.cachedBytes(commit, path)) !== undefined) {
    using source = await openFileSource(cache.snapshotPath(commit, path));
    await source.read(start, target);
    return target;
  }
  if (await cache.hasPart(commit, path, start, stop)) {
    using source = await openFileSource(kept);
    await source.read(0, target);
    return target;
  }
  // The end of the part is given as the end of the file, so that the source does not read ahead.
  const subject = { repo, revision: commit, path };
  using source = new RemoteSource(client.fileUrl(repo, commit, path), stop, subject, client.http, {
    signal,
    tries,
  });
  await source.read(start, target);
  try {
    await writeFileAtomic(kept, target, { signal });
  } catch (error) {
    if (!(error instanceof ExhaustedError)) throw error;
    client.http.onNotice(`${error.message}. It will be fetched again next time`);
  }
  return target;
}
