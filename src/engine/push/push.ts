/** Engine, verb `push`: a transcoder set's folder as a commit of a model repository on the Hub. */
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { BadFileError, UsageError } from '../../errors.ts';
import { listLocalFolder } from '../../hub/local.ts';
import { pushFiles, type PushedFile } from '../../hub/push.ts';
import { locate, parseReference } from '../../hub/resolve.ts';
import { hubClient } from '../names.ts';
import type { CommonOptions } from '../request.ts';
import { describedSet } from '../set-files.ts';
import { writeWithoutPaths } from './without-paths.ts';

export interface PushRequest extends Pick<CommonOptions, 'offline' | 'cacheDir' | 'signal' | 'onProgress'> {
  /** Of the set. */
  readonly folder: string;
  /** `owner/name`; made where there is none. */
  readonly repo: string;
  readonly branch?: string | undefined;
  readonly message?: string | undefined;
  /** What the set's model is called; for one that the set names by a path of this machine. */
  readonly modelName?: string | undefined;
  /** Of a repository that is made. */
  readonly private?: boolean | undefined;
  /** Lists what would be sent, and sends nothing. */
  readonly dryRun?: boolean | undefined;
}

export interface PushResult {
  readonly repo: string;
  readonly branch: string;
  readonly files: readonly { readonly path: string; readonly bytes: number }[];
  readonly bytes: number;
  /** Null in a dry run. */
  readonly commit: string | null;
  readonly url: string | null;
  /** `owner/name@COMMIT`: the set under a name that stays the same; null in a dry run. */
  readonly reference: string | null;
}

export const PUSH_DEFAULTS = { branch: 'main', message: 'Upload a transcoder set with tracer' } as const;

/** The card that the Hub shows. */
export const CARD_FILE = 'README.md';

/** Documents of a training's corpus, which are not for everybody because its set is. */
const KEPT_HERE: readonly string[] = ['held-out.jsonl'];

/**
 * No path of this machine is sent. @throws NotFoundError for a folder that is no set; BadFileError for one that refers to files elsewhere;
 * UsageError for one that names its model by a path, without `modelName`; and as `pushFiles`
 */
export async function push(request: PushRequest): Promise<PushResult> {
  const scratch = await mkdtemp(join(tmpdir(), 'tracer-push-'));
  try {
    return await pushWith(request, scratch);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** @param scratch folder for files that are sent instead of those of the set */
async function pushWith(request: PushRequest, scratch: string): Promise<PushResult> {
  const { branch = PUSH_DEFAULTS.branch, message = PUSH_DEFAULTS.message, signal, onProgress } = request;
  const repo = repoOf(request.repo);
  const client = hubClient(request);
  const folder = resolve(request.folder);
  const listed = await listLocalFolder(folder);
  const set = await describedSet(request.folder, locate('transcoders', folder), {
    client,
    ...(signal && { signal }),
  });
  const has = new Set(listed.map(({ path }) => path));
  for (const { layer, files } of set.layers) {
    const outside = files.find((path) => !has.has(path) && !path.includes('://'));
    if (outside !== undefined) throw notInside(request.folder, layer, outside);
  }
  const changed = await writeWithoutPaths(request.folder, set, request.modelName, scratch);
  const files: PushedFile[] = await Promise.all(
    listed
      .filter(({ path }) => !KEPT_HERE.includes(path))
      .map(async ({ path, bytes }) => {
        if (!changed.includes(path)) return { path, bytes, file: resolve(folder, path) };
        const file = join(scratch, path);
        return { path, bytes: (await stat(file)).size, file };
      }),
  );
  if (!has.has(CARD_FILE))
    onProgress?.({
      kind: 'warning',
      message: `${request.folder} has no ${CARD_FILE}: the Hub will show no card`,
    });
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const sent = request.dryRun
    ? undefined
    : await pushFiles(client, {
        repo,
        files,
        branch,
        title: message,
        isPrivate: request.private ?? false,
        signal,
        onProgress: (done, total) =>
          onProgress?.({ kind: 'progress', phase: 'push', message: 'Sending', done, total, unit: 'bytes' }),
      });
  return {
    repo,
    branch,
    files: files.map(({ path, bytes: size }) => ({ path, bytes: size })),
    bytes,
    commit: sent?.commit ?? null,
    url: sent?.url ?? null,
    reference: sent ? `${repo}@${sent.commit}` : null,
  };
}

const OWNER_NAME = /^[^/@:]+\/[^/@:]+$/;

/** Throws `UsageError` for what is no name of a repository. */
function repoOf(text: string): string {
  if (OWNER_NAME.test(text)) {
    const reference = parseReference(text, { presets: [], exists: () => false });
    if (reference.kind === 'hub') return reference.repo;
  }
  throw new UsageError({
    code: 'bad_reference',
    message: `'${text}' is no repository to write into, expected owner/name`,
    hint: 'The branch is given with --branch.',
  });
}

function notInside(set: string, layer: number, path: string): BadFileError {
  return new BadFileError({
    code: 'file_outside',
    message: `${set}: layer ${layer} lies in ${path}, outside the folder, so it cannot be pushed with it`,
    hint: 'Copy the file into the folder and name it so in config.yaml.',
  });
}
