/** Files, way out: a file appears complete or not at all. It is written under another name beside it and renamed. */
import { randomBytes } from 'node:crypto';
import { constants, rmSync } from 'node:fs';
import { access, mkdir, open, realpath, rename, rm, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { UsageError } from '../errors.ts';
import { errnoCode, writingError } from './system-errors.ts';

/** Where a writer's bytes go, one after the other. */
export interface FileWriter {
  write(bytes: NodeJS.ArrayBufferView | string): Promise<void>;
}

export interface AtomicOptions {
  /** When it fires, writing stops, nothing is left behind, and its reason is thrown. */
  readonly signal?: AbortSignal | undefined;
}

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
 * Writes a file: the bytes given, or what a function writes piece by piece. Missing folders are made; a link keeps pointing at
 * the file, which is replaced; permissions stay; a device or pipe (`/dev/stdout`) is written directly.
 * When anything fails the old file is as it was. Throws `ExhaustedError` when the disk is full or the place is not writable,
 * `UsageError` for a folder; what the function throws passes unchanged.
 */
export async function writeFileAtomic(
  path: string,
  content: NodeJS.ArrayBufferView | string | ((writer: FileWriter) => Promise<void>),
  { signal }: AtomicOptions = {},
): Promise<void> {
  const fill = typeof content === 'function' ? content : (writer: FileWriter) => writer.write(content);
  try {
    signal?.throwIfAborted();
    const old = await existing(path);
    if (old?.isDirectory()) throw isAFolder(path);
    if (old && !old.isFile()) await writeInPlace(path, fill, signal);
    else await replace(old ? await realpath(path) : resolve(path), old?.mode, fill, signal);
  } catch (error) {
    throw writingError(path, error);
  }
}

/**
 * Throws what `writeFileAtomic` would throw for a place that cannot be written, without writing: for work that takes long
 * before it has something to write.
 */
export async function checkWritable(path: string): Promise<void> {
  try {
    const old = await existing(path);
    if (old?.isDirectory()) throw isAFolder(path);
    if (old) return;
    let folder = dirname(resolve(path));
    while (!(await existing(folder))) folder = dirname(folder);
    await access(folder, constants.W_OK);
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

async function existing(path: string) {
  try {
    const stats = await stat(path);
    // A rename would replace even a write-protected file; its owner has said otherwise.
    if (!stats.isDirectory()) await access(path, constants.W_OK);
    return stats;
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

type Fill = (writer: FileWriter) => Promise<void>;

async function writeInPlace(path: string, fill: Fill, signal?: AbortSignal): Promise<void> {
  const handle = await open(path, 'w');
  try {
    await fill(writerTo(handle, signal));
  } finally {
    await handle.close();
  }
}

async function replace(
  path: string,
  mode: number | undefined,
  fill: Fill,
  signal?: AbortSignal,
): Promise<void> {
  const folder = dirname(path);
  await mkdir(folder, { recursive: true });
  const name = `.${basename(path).slice(0, KEPT_NAME_LENGTH)}.${randomBytes(6).toString('hex')}.tmp`;
  const draft = join(folder, name);
  unfinished.add(draft);
  try {
    const handle = await open(draft, 'wx');
    try {
      if (mode !== undefined) await handle.chmod(mode);
      await fill(writerTo(handle, signal));
      // Without it, a crash of the machine could leave the new name on blocks that were never written.
      await handle.sync();
    } finally {
      await handle.close();
    }
    signal?.throwIfAborted();
    await rename(draft, path);
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
