/** Engine: where the set that features belong to lies, and what it is known by. */
import { existsSync, realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { NotFoundError, UsageError } from '../../errors.ts';
import { asciiName } from '../../graph/slug.ts';
import { listPresets, locate, type HubReference, type LocalReference } from '../../hub/resolve.ts';
import type { SourceResult } from '../result.ts';

type SetReference = LocalReference | HubReference;

/** A set as named in a graph file. It is followed only to a repository at a commit, since the file may be untrusted. */
export interface RecordedSet {
  readonly name: string;
  readonly revision: string | null;
}

const COMMIT = /^[0-9a-f]{40}$/;

export function referenceOfSet(set: SourceResult | RecordedSet): SetReference | null {
  if (!('kind' in set)) {
    const { name, revision } = set;
    const reference = revision !== null && COMMIT.test(revision) ? referenceOfName(name, revision) : null;
    return reference?.kind === 'hub' ? reference : null;
  }
  if (set.folder !== undefined) return { kind: 'local', path: set.folder };
  if (set.repository === undefined) return null;
  return {
    kind: 'hub',
    repo: set.repository,
    ...(set.subfolder !== undefined && { subfolder: set.subfolder }),
    ...(set.commit !== undefined && { revision: set.commit }),
  };
}

/** Presets and repositories only: a file must not choose which local folders are read. */
export function referenceOfScan(scan: string, leadsTo: 'repositories' | 'presets'): SetReference | null {
  for (const { name, reference } of listPresets('transcoders')) {
    const names = reference.kind === 'hub' ? [name, reference.repo] : [name];
    if (names.some((one) => scan === one || scan === asciiName(one))) return reference;
  }
  const reference = leadsTo === 'repositories' ? referenceOfName(scan, null) : null;
  return reference?.kind === 'hub' ? reference : null;
}

/** Null if the name is not that of a preset, repository or folder. */
function referenceOfName(name: string, revision: string | null): SetReference | null {
  try {
    const { reference } = locate('transcoders', name);
    return reference.kind === 'hub' && revision !== null ? { ...reference, revision } : reference;
  } catch (error) {
    if (error instanceof NotFoundError || error instanceof UsageError) return null;
    throw error;
  }
}

export function isSame(a: SetReference | null, b: SetReference | null): boolean {
  if (a?.kind === 'hub' && b?.kind === 'hub') return a.repo === b.repo && a.subfolder === b.subfolder;
  return a?.kind === 'local' && b?.kind === 'local' && resolve(a.path) === resolve(b.path);
}

/** The scan; for a folder that has no other name, its absolute path, so that labels do not depend on the working directory. */
export function labelKey(scan: string, set: SourceResult | RecordedSet | undefined): string {
  if (set && 'kind' in set && set.kind === 'folder' && set.folder !== undefined && scan === set.name) {
    return realpathSync(set.folder);
  }
  const reference = referenceOfName(scan, null);
  const isPreset = listPresets('transcoders').some(({ name, aliases }) => [name, ...aliases].includes(scan));
  return reference?.kind === 'local' && !isPreset && existsSync(reference.path)
    ? realpathSync(reference.path)
    : scan;
}
