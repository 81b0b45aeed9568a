/** Hub: some files of one commit, from the cache as far as they are there, from the network for the rest. */
import type { HubClient } from './client.ts';
import { downloadAll } from './download.ts';
import { type Plan, type PlanOptions, planSnapshot } from './plan.ts';
import type { Snapshot, SnapshotFile, SnapshotRequest } from './snapshot-types.ts';
import type { TransferOptions } from './transfer.ts';

export type SnapshotOptions = TransferOptions & PlanOptions;

/** Fetches the wanted files of several repositories, through one queue. Throws as `planSnapshot` and `downloadAll` do. */
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
    // Written last, so that after an interrupted run the ref still names the commit whose files are cached.
    if (listedByHub && files.length > 0) await cache.writeRef(revision, commit);
  }
  return plans.map((made) => ({ ...made, files: made.files.map((file) => fetched(made, file)) }));
}

function fetched({ cache, commit }: Plan, file: SnapshotFile): SnapshotFile {
  const status = file.status === 'missing' ? 'downloaded' : file.status;
  return { ...file, status, location: cache.snapshotPath(commit, file.path) };
}
