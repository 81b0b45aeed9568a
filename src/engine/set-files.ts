/** Engine: the weight files of a transcoder set: its own, and those that it lists from elsewhere. */
import { isAbsolute, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BadFileError, NotFoundError } from '../errors.ts';
import { openFileSource, type ByteSource } from '../formats/byte-source.ts';
import { pathInside } from '../formats/safe-path.ts';
import { messageOf } from '../formats/system-errors.ts';
import {
  parseHubUri,
  resolveFiles,
  resolveUris,
  type Located,
  type ResolvedUri,
  type ResolveOptions,
} from '../hub/resolve.ts';
import type { SetDescription } from '../transcoder/description.ts';
import { describeSet, isRecognised, mayBelongToSet } from '../transcoder/recognise.ts';
import type { FileResult } from './load/types.ts';
import { fileSet, holds, hubSource, listedFile, named, type NamedFiles } from './named-files.ts';

const URL_SCHEME = /^(?:[a-z][a-z0-9+.-]*:\/\/|file:\/)/i;

/**
 * What a set is, from the names of its files and the small ones that say it. Each file of a list is in its plain spelling: inside the
 * set as a path of the set, elsewhere on this disk as an absolute path, on the Hub as an address. Throws what `describeSet` does, and
 * `BadFileError` when a set from the Hub names a file of this disk.
 */
export async function describedSet(
  setName: string,
  { reference }: Located,
  hub: ResolveOptions,
): Promise<SetDescription> {
  const local = await resolveFiles(reference, {
    ...hub,
    dryRun: true,
    wanted: mayBelongToSet,
    isEnough: ({ files }) => isRecognised(files.map(({ path }) => path)),
  });
  const files = fileSet(local, reference.kind === 'local' ? reference.path : undefined);
  const described = await describeSet({
    ...files,
    paths: local.files.map(({ path }) => path),
    repository: reference.kind === 'hub' ? reference.repo : undefined,
  });
  const place = (entry: string): string => {
    if (files.has(entry)) return entry;
    if (isAddress(entry)) return checkedAddress(entry, setName);
    if (reference.kind === 'local') return placeOnDisk(entry, reference.path, setName);
    return (URL_SCHEME.test(entry) ? undefined : pathInside(entry)) ?? refuseOutside(entry, setName);
  };
  return {
    ...described,
    layers: described.layers.map((layer) => ({ ...layer, files: layer.files.map(place) })),
  };
}

/** Throws `BadFileError` for an address that names no file of a repository. */
function checkedAddress(entry: string, setName: string): string {
  try {
    parseHubUri(entry);
    return entry;
  } catch (cause) {
    throw new BadFileError({
      code: 'bad_set_config',
      message: `the configuration of ${setName}: ${messageOf(cause)}`,
      hint: 'A file on the Hub is listed as hf://owner/name/path or hf://owner/name/path@revision.',
      cause,
    });
  }
}

function placeOnDisk(entry: string, folder: string, setName: string): string {
  const path = resolve(folder, URL_SCHEME.test(entry) ? pathOfUrl(entry, setName) : entry);
  return pathInside(relative(folder, path).split(sep).join('/')) ?? path;
}

/** The path of a `file:` URL. Throws `BadFileError` for another URL, or one that names no file of this machine. */
function pathOfUrl(url: string, setName: string): string {
  try {
    return fileURLToPath(url);
  } catch (cause) {
    throw new BadFileError({
      code: 'bad_set_config',
      message: `the configuration of ${setName}: transcoders names ${JSON.stringify(url)}, expected a path, a file: URL of this machine or an address hf://owner/name/path`,
      hint: 'Fetch the file and write its path.',
      cause,
    });
  }
}

function refuseOutside(entry: string, setName: string): never {
  throw new BadFileError({
    code: 'bad_set_config',
    message: `the configuration of ${setName}: transcoders names ${JSON.stringify(entry)}, expected a path inside the set or an address hf://owner/name/path`,
    hint: 'A set from the Hub may not name files of this disk. Copy the set into a folder to use it with files of yours.',
  });
}

/** Brings the files here, or (dry run) to where they can be opened. `description` comes from `describedSet`. */
export async function resolveSet(
  name: string,
  located: Located,
  { configFiles, layers }: SetDescription,
  hub: ResolveOptions,
): Promise<NamedFiles> {
  const wanted = new Set([...configFiles, ...layers.flatMap(({ files }) => files)]);
  const own = [...wanted].filter((path) => !isAddress(path) && !isAbsolute(path));
  const local = await resolveFiles(located.reference, {
    ...hub,
    wanted: (path) => wanted.has(path),
    isEnough: (cached) => holds(cached, own),
  });
  const base = named(name, located, local);
  const linked = await resolveUris([...wanted].filter(isAddress), {
    ...hub,
    revisions: located.preset?.linked,
  });
  const elsewhere = new Map([
    ...linked.map((one) => [one.uri, linkedFile(one)] as const),
    ...(await filesOnDisk([...wanted].filter(isAbsolute))),
  ]);
  if (elsewhere.size === 0) return base;
  return {
    ...base,
    source: { ...base.source, ...(linked.length > 0 && { linked: linked.map(linkOf) }) },
    listed: [...base.listed, ...[...elsewhere.values()].map(({ listed }) => listed)],
    files: {
      ...base.files,
      has: (path) => elsewhere.has(path) || base.files.has(path),
      open: (path) => elsewhere.get(path)?.open() ?? base.files.open(path),
    },
  };
}

/** A file that does not lie in the set. */
interface FileElsewhere {
  readonly listed: FileResult;
  open(): Promise<ByteSource>;
}

function linkedFile(one: ResolvedUri): FileElsewhere {
  return { listed: { ...listedFile(one.file), path: one.uri }, open: () => one.open() };
}

function linkOf({ uri, source }: ResolvedUri) {
  return { file: uri, ...hubSource(source) };
}

/** Those that are there. */
async function filesOnDisk(paths: readonly string[]): Promise<[string, FileElsewhere][]> {
  const found: [string, FileElsewhere][] = [];
  for (const path of paths) {
    const bytes = await sizeOf(path);
    const listed = { path, bytes: bytes ?? 0, status: 'local' } as const;
    if (bytes !== undefined) found.push([path, { listed, open: () => openFileSource(path) }]);
  }
  return found;
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    using source = await openFileSource(path);
    return source.size;
  } catch (error) {
    if (error instanceof NotFoundError) return undefined;
    throw error;
  }
}

function isAddress(path: string): boolean {
  return path.startsWith('hf://');
}
