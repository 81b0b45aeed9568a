/**
 * Parts of the results of several verbs. The JSON form of a result is the `data` of `--json`, hence the snake_case: scripts, views and
 * the library read the same fields. Bytes are bytes, times are milliseconds; a field that does not apply is null or absent.
 */

/** Model and set of a result, by names that a request accepts. */
export interface Subject {
  readonly model: string;
  readonly transcoders: string;
}

/** What a name was resolved to. */
export interface SourceResult {
  readonly name: string;
  /** `none`: of a set, that there is none. */
  readonly kind: 'preset' | 'hub' | 'folder' | 'file' | 'none';
  /** `owner/name`, for what comes from the Hub. */
  readonly repository?: string;
  readonly subfolder?: string;
  /** The branch, tag or commit that was asked for. */
  readonly revision?: string;
  /** The commit that it stood for. */
  readonly commit?: string;
  /** Whether `revision` is a branch or tag, which may stand for another commit next time. */
  readonly follows_branch?: boolean;
  /** Files that a set lists from other repositories, with the commits they came from. */
  readonly linked?: readonly LinkedFileResult[];
  /** The folder on this machine, once the files are there. */
  readonly folder?: string;
  /** The file in it that was named. */
  readonly file?: string;
}

export interface LinkedFileResult {
  readonly file: string;
  readonly repository: string;
  readonly revision: string;
  readonly commit: string;
  readonly follows_branch: boolean;
}

/** Range of a per-feature number. */
export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

export interface TokenResult {
  readonly position: number;
  readonly id: number;
  readonly text: string;
}

export interface NextTokenResult {
  readonly token_id: number;
  readonly text: string;
  readonly logit: number;
  readonly probability: number;
}

export interface SavedFileResult {
  readonly path: string;
  readonly bytes: number;
}
