/** Hub, entry point of the room: resolves a reference to its files, on this disk or, in a dry run, on the Hub. */
import { basename, dirname, join } from 'node:path';
import { NetworkError, NotFoundError } from '../errors.ts';
import { type ByteSource, openFileSource } from '../formats/byte-source.ts';
import { splitNames } from '../formats/gguf-split.ts';
import { nearest } from '../nearest.ts';
import { type AskOptions, HubClient, type HubClientOptions } from './client.ts';
import { type HubOverrides, readHubEnvironment } from './environment.ts';
import type { CachedFile } from './cache.ts';
import { isGgufFile, listLocalFolder, localFileSize } from './local.ts';
import type { DownloadProgress } from './progress.ts';
import { type HubReference, type LocalReference, parseHubUri } from './reference.ts';
import { RemoteSource } from './remote-source.ts';
import type { FileStatus, Snapshot, SnapshotFile, SnapshotRequest } from './snapshot-types.ts';
import { takeSnapshots } from './snapshot.ts';

export { type AskOptions, HubClient } from './client.ts';
export { readHubEnvironment } from './environment.ts';
export { freeDiskBytes } from './disk.ts';
export { type FilePart, readPart } from './parts.ts';
export { listPresets, locate, type Located, type Preset, presetNames, readPreset } from './presets.ts';
export {
  DATASET_URI,
  type HubReference,
  type LocalReference,
  looksLocal,
  parseDatasetUri,
  parseHubUri,
  parseReference,
  type Reference,
} from './reference.ts';
export type { DownloadProgress } from './progress.ts';
export { isCommitName, namesCommit } from './repo-file.ts';
export type { FileStatus } from './snapshot-types.ts';

export interface ResolveOptions extends HubOverrides, HubClientOptions, Pick<AskOptions, 'tries'> {
  /** Ends everything with the signal's reason. What was fetched so far is kept, and the next run continues from it. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
  /** Fetch and write nothing; missing files can still be opened, over the network. */
  readonly dryRun?: boolean | undefined;
  /** A client that several calls share so that they see the same commits; it replaces the options above. */
  readonly client?: HubClient | undefined;
}

export interface ResolveFilesOptions extends ResolveOptions {
  /** Which files: a test on the path, or patterns where `*` stands for anything, slashes included. */
  readonly wanted: ((path: string) => boolean) | readonly string[];
  /** The reference may name a single GGUF file: it alone is meant, or with it the parts that its model was split into. */
  readonly mayBeFile?: boolean | undefined;
  /** Wins over the revision of the reference. */
  readonly revision?: string | undefined;
  /** Whether cached files are enough if the Hub refuses or cannot be reached. Default: at least one wanted file is cached. */
  readonly isEnough?: ((cached: LocalFiles) => boolean | Promise<boolean>) | undefined;
}

export type Source =
  | {
      readonly kind: 'local';
      /** Of the folder. */
      readonly path: string;
      /** Of the file in it that was named. */
      readonly file?: string;
    }
  | {
      readonly kind: 'hub';
      readonly repo: string;
      readonly revision: string;
      /** The commit that the revision stood for. */
      readonly commit: string;
      readonly subfolder?: string;
    };

export interface LocalFile {
  /** Path inside the folder or subfolder, with forward slashes. */
  readonly path: string;
  readonly bytes: number;
  readonly status: FileStatus;
}

export interface LocalFiles {
  readonly source: Source;
  readonly files: readonly LocalFile[];
  /** False when only the cache could be looked at: the repository may have more files than are known here. */
  readonly isComplete: boolean;
  /** Where a file lies on this disk. Throws `NotFoundError` (offline: `NetworkError`) naming the file. */
  path(name: string): string;
  /** Its bytes, over the network when it was not fetched. Throws as `path` does. */
  open(name: string): Promise<ByteSource>;
}

/** One file named by an `hf://` address. */
export interface ResolvedUri {
  readonly uri: string;
  readonly source: Extract<Source, { kind: 'hub' }>;
  readonly file: LocalFile;
  path(): string;
  open(): Promise<ByteSource>;
}

/**
 * The wanted files of a folder or repository. Throws `NotFoundError` (no such repository, revision or folder; gated),
 * `NetworkError`, `ExhaustedError` (disk), `BadFileError` (wrong bytes), and the signal's reason after an abort.
 */
export async function resolveFiles(
  reference: HubReference | LocalReference,
  options: ResolveFilesOptions,
): Promise<LocalFiles> {
  const wanted = matcher(options.wanted);
  if (reference.kind === 'local') {
    const isFile = options.mayBeFile && (await isGgufFile(reference.path));
    return isFile ? localFile(reference.path) : localFiles(reference.path, wanted);
  }
  const { repo } = reference;
  const { subfolder, files } = splitSubfolder(reference.subfolder, options.mayBeFile ?? false);
  const revision = options.revision ?? reference.revision ?? 'main';
  const client = clientOf(options);
  const prefix = subfolder === undefined ? '' : `${subfolder}/`;
  const selection = (path: string): boolean =>
    path.startsWith(prefix) &&
    (files?.includes(path.slice(prefix.length)) ?? wanted(path.slice(prefix.length)));
  const isEnough = (cached: Snapshot): boolean | Promise<boolean> =>
    options.isEnough?.(hubFiles(cached, subfolder, client, options.signal)) ?? cached.files.length > 0;
  const request = { repo, revision, selection, subfolder, isEnough };
  const [snapshot] = await takeSnapshots([request], client, options);
  return hubFiles(snapshot!, subfolder, client, options.signal);
}

/** A file named by `hf://owner/name/path[@revision]`, with the commit it came from. Throws as `resolveFiles`. */
export async function resolveUri(uri: string, options: ResolveOptions = {}): Promise<ResolvedUri> {
  const [resolved] = await resolveUris([uri], options);
  return resolved!;
}

/**
 * As `resolveUri`, for many files at once (in the order given): one question for each repository, one queue for all.
 * `revisions` says by repository what is meant where an address has no revision.
 */
export async function resolveUris(
  uris: readonly string[],
  options: ResolveOptions & { readonly revisions?: Readonly<Record<string, string>> | undefined } = {},
): Promise<ResolvedUri[]> {
  const client = clientOf(options);
  const wanted = uris.map((uri) => {
    const { repo, path, revision } = parseHubUri(uri);
    return { uri, repo, path, revision: revision ?? options.revisions?.[repo] ?? 'main' };
  });
  const requests = new Map<string, SnapshotRequest & { selection: string[] }>();
  for (const { repo, revision, path } of wanted) {
    const key = `${repo}@${revision}`;
    const { selection = [] } = requests.get(key) ?? {};
    if (!selection.includes(path)) selection.push(path);
    const isEnough = ({ files }: Snapshot): boolean => files.length === selection.length;
    requests.set(key, { repo, revision, selection, isEnough });
  }
  const snapshots = await takeSnapshots([...requests.values()], client, options);
  const files = new Map(
    [...requests.keys()].map((key, at) => [key, hubFiles(snapshots[at]!, undefined, client, options.signal)]),
  );
  return wanted.map(({ uri, repo, revision, path }) => {
    const { source, files: found, ...from } = files.get(`${repo}@${revision}`)!;
    const file = found.find((each) => each.path === path);
    if (!file || source.kind !== 'hub') throw fileNotFound(path, `${repo}@${revision}`, []);
    return { uri, source, file, path: () => from.path(path), open: () => from.open(path) };
  });
}

function clientOf(options: ResolveOptions): HubClient {
  return options.client ?? new HubClient(readHubEnvironment(options), options);
}

/** A GGUF file at the end of a path inside a repository, with the parts that its model was split into. */
function splitSubfolder(
  subfolder: string | undefined,
  mayBeFile: boolean,
): { readonly subfolder: string | undefined; readonly files?: readonly string[] } {
  if (!mayBeFile || !subfolder?.toLowerCase().endsWith('.gguf')) return { subfolder };
  const slash = subfolder.lastIndexOf('/');
  const folder = slash < 0 ? undefined : subfolder.slice(0, slash);
  return { subfolder: folder, files: splitNames(subfolder.slice(slash + 1)) };
}

/** A file, and the parts beside it that its model was split into. */
async function localFile(path: string): Promise<LocalFiles> {
  const [folder, file] = [dirname(path), basename(path)];
  const parts = await Promise.all(
    splitNames(file).map(async (name) => ({ name, bytes: await localFileSize(join(folder, name)) })),
  );
  const found = parts.flatMap(({ name, bytes }) => (bytes === undefined ? [] : [{ path: name, bytes }]));
  return onDisk(folder, found, file);
}

async function localFiles(folder: string, wanted: (path: string) => boolean): Promise<LocalFiles> {
  return onDisk(
    folder,
    (await listLocalFolder(folder)).filter(({ path }) => wanted(path)),
  );
}

function onDisk(folder: string, files: readonly CachedFile[], file?: string): LocalFiles {
  const names = files.map(({ path }) => path);
  const path = (name: string): string => {
    if (!names.includes(name)) throw fileNotFound(name, folder, names);
    return join(folder, ...name.split('/'));
  };
  return {
    source: { kind: 'local', path: folder, ...(file !== undefined && { file }) },
    files: files.map((file) => ({ ...file, status: 'local' })),
    isComplete: true,
    path,
    open: async (name) => openFileSource(path(name)),
  };
}

function hubFiles(
  snapshot: Snapshot,
  subfolder: string | undefined,
  client: HubClient,
  signal: AbortSignal | undefined,
): LocalFiles {
  const { repo, revision, commit } = snapshot;
  const prefix = subfolder === undefined ? '' : `${subfolder}/`;
  const byName = new Map(snapshot.files.map((file) => [file.path.slice(prefix.length), file]));
  const find = (name: string): SnapshotFile => {
    const file = byName.get(name);
    if (file) return file;
    throw snapshot.listedByHub
      ? fileNotFound(name, `${repo}@${revision}`, byName.keys())
      : (snapshot.refusal ?? fileNotCached(prefix + name, snapshot));
  };
  return {
    source: { kind: 'hub', repo, revision, commit, ...(subfolder !== undefined && { subfolder }) },
    files: [...byName].map(([path, { bytes, status }]) => ({ path, bytes, status })),
    isComplete: snapshot.listedByHub,
    path: (name) => {
      const { location, path } = find(name);
      if (location === undefined) throw notFetched(path, snapshot);
      return location;
    },
    open: async (name) => {
      const { location, path, bytes } = find(name);
      if (location !== undefined) return openFileSource(location);
      return new RemoteSource(
        client.fileUrl(repo, commit, path),
        bytes,
        { repo, revision, path },
        client.http,
        { signal },
      );
    },
  };
}

/** Patterns as in Python's `allow_patterns`: `*` and `?`, matched against the whole path. */
function matcher(wanted: ResolveFilesOptions['wanted']): (path: string) => boolean {
  if (typeof wanted === 'function') return wanted;
  const expressions = wanted.map((pattern) => {
    const escaped = pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&');
    return new RegExp(`^${escaped.replaceAll('*', '.*').replaceAll('?', '.')}$`, 's');
  });
  return (path) => expressions.some((expression) => expression.test(path));
}

function fileNotFound(name: string, where: string, names: Iterable<string>): NotFoundError {
  const guess = nearest(name, names);
  return new NotFoundError({
    code: 'file_not_found',
    message: `${where} has no file '${name}'`,
    hint: guess
      ? `There is '${guess}'.`
      : 'Check that the name stands for a model or transcoder set in a known layout.',
  });
}

function fileNotCached(path: string, { repo, revision, commit }: Snapshot): NetworkError {
  return new NetworkError({
    code: 'offline',
    message: `'${path}' of ${repo}@${revision} (commit ${commit}) is not in the cache, and the Hub cannot be asked`,
    hint: 'Fetch it once with the network on (`tracer load`).',
  });
}

function notFetched(path: string, { repo, revision }: Snapshot): NotFoundError {
  return new NotFoundError({
    code: 'file_not_fetched',
    message: `'${path}' of ${repo}@${revision} was not fetched in this dry run`,
    hint: 'Run `tracer load` without --dry-run.',
  });
}
