/** Transcoder: the files of a set, with their names, so that its layout can be recognised. */
import type { FileSet } from '../model/file-set.ts';

export interface SetFiles extends FileSet {
  /** Of all files that may belong to a set. */
  readonly paths: readonly string[];
  /** The repository on the Hub that they come from. */
  readonly repository?: string | undefined;
}
