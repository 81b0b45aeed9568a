/**
 * Hub: one process at a time fetches a blob. The lock is a file that exists while it is held and names its holder as
 * Python's `SoftFileLock` does (process id and host, a line each).
 *
 * It saves double work and is not what the cache's safety hangs on: writers of the same blob put the same checked bytes
 * at the same places, and a blob gets its name by one rename. So a lock may be broken when its holder seems to be gone.
 */
import { randomUUID } from 'node:crypto';
import { link, mkdir, open, type FileHandle, readFile, rename, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { diskError, errorCode } from './disk.ts';
import { sleep } from './retry.ts';

const POLL_MS = 200;
const HEARTBEAT_MS = 5_000;
/** A holder on another host, or one whose process id was given to someone else, is known by its silent heart. */
const DEAD_HEART_MS = 60_000;
/** A holder creates its file first and signs it next; a file without a name for longer is nobody's. */
const UNSIGNED_MS = 2_000;

export interface LockOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called once when somebody else holds the lock. */
  readonly onWait?: () => void;
}

/** Holds the lock file at `path` until the returned function is called. Throws the signal's reason, or `ExhaustedError`. */
export async function acquireLock(path: string, options: LockOptions = {}): Promise<() => Promise<void>> {
  let waiting = false;
  await mkdir(dirname(path), { recursive: true }).catch((error: unknown) => {
    throw diskError(error, path);
  });
  for (;;) {
    options.signal?.throwIfAborted();
    const handle = await createNew(path);
    if (handle) return hold(path, handle);
    if (await removeIfAbandoned(path)) continue;
    if (!waiting) options.onWait?.();
    waiting = true;
    await sleep(POLL_MS, options.signal);
  }
}

async function createNew(path: string): Promise<FileHandle | undefined> {
  try {
    const handle = await open(path, 'wx');
    try {
      await handle.writeFile(`${process.pid}\n${hostname()}\n`);
      return handle;
    } catch (error) {
      await handle.close();
      await rm(path, { force: true });
      throw error;
    }
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return undefined;
    throw diskError(error, path);
  }
}

async function hold(path: string, handle: FileHandle): Promise<() => Promise<void>> {
  const { ino } = await handle.stat();
  const heartbeat = setInterval(() => {
    const now = new Date();
    handle.utimes(now, now).catch(() => clearInterval(heartbeat)); // a heart that cannot beat only ends the lock early
  }, HEARTBEAT_MS);
  heartbeat.unref();
  return async () => {
    clearInterval(heartbeat);
    await handle.close();
    // After a long sleep of this process the lock may be somebody else's.
    if ((await inodeOf(path)) === ino) await rm(path, { force: true });
  };
}

/** Removes the lock of a holder that is gone; says whether it is worth trying at once. */
async function removeIfAbandoned(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  if (!found) return true;
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return true;
  if (!isAbandoned(text, Date.now() - found.mtimeMs)) return false;
  if (text === '' && (await isHeldByKernel(found))) return false;
  // Moved aside before it is deleted: if another process was faster, what is moved is its fresh lock, and goes back.
  const aside = `${path}.${randomUUID().slice(0, 8)}`;
  try {
    await rename(path, aside);
    if ((await inodeOf(aside)) !== found.ino) await link(aside, path);
  } catch (error) {
    if (!['ENOENT', 'EEXIST'].includes(errorCode(error) ?? '')) throw diskError(error, path);
  } finally {
    await rm(aside, { force: true });
  }
  return true;
}

/** Whether the holder that a lock file names is gone, `silentMs` after the file was last touched. */
export function isAbandoned(text: string, silentMs: number): boolean {
  const [pid = '', host = ''] = text.split('\n');
  if (!/^\d+$/.test(pid) || host === '') return silentMs > UNSIGNED_MS;
  return (host === hostname() && !isAlive(Number(pid))) || silentMs > DEAD_HEART_MS;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return errorCode(error) === 'EPERM'; // it lives, and belongs to another user
  }
}

/**
 * Python locks the same file, empty, with `flock`, which leaves it in place afterwards. Linux lists such locks;
 * elsewhere an empty file counts as free, which Python's own writers survive (each has a file of its own).
 */
async function isHeldByKernel(file: { dev: number; ino: number }): Promise<boolean> {
  const table = await readFile('/proc/locks', 'utf8').catch(() => '');
  return listsFlock(table, file);
}

/** Whether a table in the form of `/proc/locks` lists an `flock` on a file, given by device number and inode. */
export function listsFlock(table: string, { dev, ino }: { dev: number; ino: number }): boolean {
  const hex = (part: number): string => part.toString(16).padStart(2, '0');
  const major = Math.floor(dev / 256) % 4096;
  const minor = (dev % 256) + Math.floor(dev / 2 ** 20) * 256;
  const place = `${hex(major)}:${hex(minor)}:${ino}`;
  return table.split('\n').some((line) => /\bFLOCK\b/.test(line) && line.split(/\s+/).includes(place));
}

async function inodeOf(path: string): Promise<number | undefined> {
  return (await stat(path).catch(() => undefined))?.ino;
}
