/** Files, writing: a file appears complete or not at all. It is written under another name in its folder and renamed. */
import { randomBytes } from 'node:crypto';
import { constants, rmSync } from 'node:fs';
import { access, link, lstat, open, realpath, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { UsageError } from '../errors.ts';
import { followLinks, makeFolder, nearestFolder, statIfThere } from './output-path.ts';
import { replaceFile } from './replace-file.ts';
import { errnoCode, writingError } from './system-errors.ts';

/** Where a writer's bytes go, one after the other. */
export interface FileWriter {
  write(bytes: NodeJS.ArrayBufferView | string): Promise<void>;
}

export interface AtomicOptions {
  /** When it fires, writing stops, nothing is left behind, and its reason is thrown. */
  readonly signal?: AbortSignal | undefined;
  /**
   * What becomes of a file that has the name already, also of one that appears while the new one is written. Default: it is
   * replaced, behind a link too. `replace link`: a link is replaced itself. `keep`: it stays, and `UsageError` is thrown with
   * the code `FILE_EXISTS`; which names are the same is up to the file system (case, composed characters).
   */
  readonly existing?: 'replace' | 'replace link' | 'keep' | undefined;
}

export const FILE_EXISTS = 'file_exists';

/** One write call takes less than 2 GiB. */
const LARGEST_WRITE_BYTES = 2 ** 30;
/** A file name has at most 255 bytes; this leaves room for what is added. */
const KEPT_NAME_LENGTH = 40;

/** Files under their other name, removed also when the process ends early with `process.exit`. */
const unfinished = new Set<string>();
process.on('exit', () => {
  for (const path of unfinished) rmSync(path, { force: true });
});

/**
 * Writes a file: the bytes given, or what a function writes piece by piece. Missing folders are made; a link stays a link, and
 * its target is replaced or made; permissions stay; a device or pipe (`/dev/stdout`) is written directly.
 * When anything fails the old file is as it was. Throws `ExhaustedError` when the disk is full, the place is not writable, or a
 * link leads nowhere (`followLinks`), `UsageError` for a folder, and as `existing` says; what the function throws passes unchanged.
 */
export async function writeFileAtomic(
  path: string,
  content: Content,
  { signal, existing = 'replace' }: AtomicOptions = {},
): Promise<void> {
  const fill = fillOf(content);
  const own = resolve(path);
  try {
    signal?.throwIfAborted();
    if (existing === 'keep') {
      // An early check, to save the work; `nameNewFile` makes sure that no file is replaced.
      await refuseExisting(path);
      await throughDraft(own, undefined, fill, signal, (draft) => nameNewFile(draft, own));
      return;
    }
    const old = await statOf(path);
    if (old?.isDirectory()) throw isAFolder(path);
    if (old && !old.isFile()) await writeInPlace(path, fill, signal);
    else {
      const target = existing === 'replace' ? await targetOf(path, old !== undefined) : own;
      await throughDraft(target, old?.mode, fill, signal, (draft) => replaceFile(draft, target));
    }
  } catch (error) {
    throw writingError(path, error);
  }
}

/**
 * Gives a finished file its name, unless something has it. `makeLink` is a parameter for tests: FAT and some network file
 * systems have no hard links.
 */
export async function nameNewFile(draft: string, path: string, makeLink: typeof link = link): Promise<void> {
  const isLinked = await makeLink(draft, path).then(
    () => true,
    (error: unknown) => {
      if (errnoCode(error) === 'EEXIST') throw fileExists(path);
      return false;
    },
  );
  if (isLinked) return await rm(draft);
  // An empty file takes the name, which fails where there is one, and is then replaced.
  try {
    await (await open(path, 'wx')).close();
  } catch (error) {
    throw errnoCode(error) === 'EEXIST' ? fileExists(path) : error;
  }
  try {
    await replaceFile(draft, path);
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
}

/**
 * Throws what `writeFileAtomic` would throw for a place that cannot be written, without writing: for work that takes long
 * before it has something to write.
 */
export async function checkWritable(path: string): Promise<void> {
  try {
    const old = await statOf(path);
    if (old?.isDirectory()) throw isAFolder(path);
    if (old) return;
    await access(await nearestFolder(dirname(await followLinks(path))), constants.W_OK);
  } catch (error) {
    throw writingError(path, error);
  }
}

function isAFolder(path: string): UsageError {
  return new UsageError({
    code: 'is_a_folder',
    message: `${path} is a folder, but a file is to be written`,
    hint: 'Name a file in it.',
  });
}

async function targetOf(path: string, isThere: boolean): Promise<string> {
  return isThere ? await realpath(path) : await followLinks(path);
}

async function statOf(path: string) {
  const stats = await statIfThere(path);
  // A rename would replace even a write-protected file, against the will of its owner.
  if (stats && !stats.isDirectory()) await access(path, constants.W_OK);
  return stats;
}

function fileExists(path: string): UsageError {
  return new UsageError({
    code: FILE_EXISTS,
    message: `${path} exists already`,
    hint: 'Choose another name, or move the file away.',
  });
}

/** Throws as `writeFileAtomic` does that keeps existing files, where there is one. */
export async function refuseExisting(path: string): Promise<void> {
  if (await isThere(path)) throw fileExists(path);
}

/** Whether anything has this name, a link that leads nowhere included. */
export async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return false;
    throw error;
  }
}

type Fill = (writer: FileWriter) => Promise<void>;
/** What is written: all of it, or a function that writes it piece by piece. */
type Content = NodeJS.ArrayBufferView | string | Fill;

function fillOf(content: Content): Fill {
  return typeof content === 'function' ? content : (writer) => writer.write(content);
}

async function writeInPlace(path: string, fill: Fill, signal?: AbortSignal): Promise<void> {
  const handle = await open(path, 'w');
  try {
    await fill(writerTo(handle, signal));
  } finally {
    await handle.close();
  }
}

/** Writes a file under another name in the same folder, and gives it its own name when it is complete. */
async function throughDraft(
  path: string,
  mode: number | undefined,
  fill: Fill,
  signal: AbortSignal | undefined,
  giveName: (draft: string) => Promise<void>,
): Promise<void> {
  const folder = dirname(path);
  await makeFolder(folder);
  const name = `.${basename(path).slice(0, KEPT_NAME_LENGTH)}.${randomBytes(6).toString('hex')}.tmp`;
  const draft = join(folder, name);
  unfinished.add(draft);
  try {
    const handle = await open(draft, 'wx');
    try {
      if (mode !== undefined) await handle.chmod(mode);
      await fill(writerTo(handle, signal));
      // Without it, after a crash of the machine the new name could stand for blocks that were never written.
      await handle.sync();
    } finally {
      await handle.close();
    }
    signal?.throwIfAborted();
    await giveName(draft);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  } finally {
    unfinished.delete(draft);
  }
}

function writerTo(handle: FileHandle, signal?: AbortSignal): FileWriter {
  return {
    async write(content) {
      const bytes =
        typeof content === 'string'
          ? Buffer.from(content)
          : new Uint8Array(content.buffer, content.byteOffset, content.byteLength);
      for (let written = 0; written < bytes.byteLength;) {
        signal?.throwIfAborted();
        const part = bytes.subarray(written, written + LARGEST_WRITE_BYTES);
        written += (await handle.write(part)).bytesWritten; // may be less than asked
      }
    },
  };
}
