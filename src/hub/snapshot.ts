/** Hub: some files of one commit, from the cache as far as they are there, from the network for the rest. */
import type { TracerError } from '../errors.ts';
import type { HubClient } from './client.ts';
import { downloadAll } from './download.ts';
import { type Plan, type PlanOptions, planSnapshot } from './plan.ts';
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
  /** Why the Hub did not list them, where it was asked. */
  readonly refusal?: TracerError;
}

/** Which files are wanted: a test on the path of each file of the repository, or the exact paths. */
export type Selection = ((path: string) => boolean) | readonly string[];

export interface SnapshotRequest {
  readonly repo: string;
  readonly revision: string;
  readonly selection: Selection;
  /** Folder that must have files, if only one is of interest. */
  readonly subfolder?: string | undefined;
  /** Whether the wanted files that are in the cache are all that is needed, should the Hub refuse. */
  readonly isEnough: (cached: Snapshot) => boolean | Promise<boolean>;
}

export type SnapshotOptions = TransferOptions & PlanOptions;

/** Brings the wanted files of several repositories here, through one queue. Throws as `planSnapshot` and `downloadAll` do. */
export async function takeSnapshots(
  requests: readonly SnapshotRequest[],
  client: HubClient,
  options: SnapshotOptions,
): Promise<Snapshot[]> {
  const plans = await Promise.all(requests.map(async (request) => planSnapshot(request, client, options)));
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
