/** Hub: types of a request for files of a commit, and of its result. */
import type { TracerError } from '../errors.ts';

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
  /** Whether the wanted files that are in the cache are enough if the Hub refuses. */
  readonly isEnough: (cached: Snapshot) => boolean | Promise<boolean>;
}
