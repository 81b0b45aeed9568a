/** Engine: a name that was followed to files, as the rooms that open them want to see it. */
import {
  namesCommit,
  type LocalFile,
  type LocalFiles,
  type Located,
  type ResolvedUri,
} from '../hub/resolve.ts';
import type { FileSet } from '../model/file-set.ts';
import { NO_SET } from '../transcoder/no-set.ts';
import type { FileResult } from './load/types.ts';
import type { SourceResult } from './result.ts';

/** A name, where it led, and the files. */
export interface NamedFiles {
  readonly source: SourceResult;
  readonly files: FileSet;
  readonly listed: readonly FileResult[];
  /** Path on this disk of a file that is there. */
  readonly path: (name: string) => string;
}

export function named(name: string, { reference, preset }: Located, local: LocalFiles): NamedFiles {
  const { source } = local;
  return {
    source: {
      name,
      kind: preset ? 'preset' : source.kind === 'hub' ? 'hub' : source.file === undefined ? 'folder' : 'file',
      ...(source.kind === 'hub'
        ? { ...hubSource(source), ...(source.subfolder !== undefined && { subfolder: source.subfolder }) }
        : { folder: source.path, ...(source.file !== undefined && { file: source.file }) }),
    },
    files: fileSet(local, reference.kind === 'local' ? reference.path : undefined),
    listed: local.files.map(listedFile),
    path: (file) => local.path(file),
  };
}

/** No transcoder set: nothing to open. */
export const NO_FILES: NamedFiles = {
  source: { name: NO_SET, kind: NO_SET },
  files: { name: NO_SET, has: () => false, open: () => Promise.reject(new Error('there is no set')) },
  listed: [],
  path: (name) => name,
};

export function hubSource({ repo, revision, commit }: ResolvedUri['source']) {
  return { repository: repo, revision, commit, follows_branch: !namesCommit(revision, commit) };
}

/** Whether all of these files are there. */
export function holds({ files }: LocalFiles, names: Iterable<string>): boolean {
  const there = new Set(files.map((file) => file.path));
  return [...names].every((name) => there.has(name));
}

export function listedFile({ path, bytes, status }: LocalFile): FileResult {
  return { path, bytes, status };
}

export function fileSet(local: LocalFiles, name?: string): FileSet {
  const paths = new Set(local.files.map((file) => file.path));
  const { source } = local;
  return {
    name: name ?? (source.kind === 'hub' ? `${source.repo}@${source.revision}` : source.path),
    has: (path) => paths.has(path),
    isComplete: local.isComplete,
    open: (path) => local.open(path),
  };
}
