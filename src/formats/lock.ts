/**
 * Files, helper of writers: one process at a time. The lock is a file that exists while it is held and names its holder as
 * Python's `SoftFileLock` does (process id and host, a line each), so that the Hugging Face cache can be shared with Python.
 *
 * A holder that was killed leaves the file. It is known by its process id on the same host, and elsewhere by a file that was
 * not touched for long; then the lock is broken. That can be wrong (another host that was suspended), so what the lock guards
 * is written by one rename: two holders at once can lose work but leave no half file.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { link, open, type FileHandle, readFile, rename, rm, stat } from 'node:fs/promises';
import { hostname, uptime } from 'node:os';
import { dirname } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { makeFolder } from './output-path.ts';
import { isInUse } from './replace-file.ts';
import { errnoCode, writingError } from './system-errors.ts';

const POLL_MS = 200;
const HEARTBEAT_MS = 5_000;
/** A holder touches its file far more often, unless a long computation delays its timer. */
const STALE_MS = 60_000;
/** A holder makes its file first and writes its name next; a file that has no name for longer has no holder. */
const UNSIGNED_MS = 2_000;
/** Stands for a name that cannot be read: some process on some host. */
const UNREADABLE = '0\nunknown\n';
/** `starttime` of /proc/<pid>/stat: its place behind the name of the program, and its unit (proc(5); USER_HZ is 100). */
const START_FIELD = 19;
const TICK_MS = 10;

export interface LockOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called once when somebody else holds the lock. */
  readonly onWait?: () => void;
}

/**
 * Makes the lock file at `path` (and its folder), waiting while another process holds it; disposing removes it.
 * Throws the signal's reason, what `onWait` throws, or `ExhaustedError` where the file cannot be made.
 */
export async function acquireLock(
  path: string,
  { signal, onWait }: LockOptions = {},
): Promise<AsyncDisposable> {
  await makeFolder(dirname(path));
  for (let waiting = false; ; waiting = true) {
    signal?.throwIfAborted();
    const handle =
      (await createNew(path)) ?? ((await removeIfAbandoned(path)) ? await createNew(path) : undefined);
    if (handle) return hold(path, handle);
    if (!waiting) onWait?.();
    // Ends early by an abort alone, whose reason is thrown above.
    await wait(POLL_MS, undefined, signal && { signal }).catch(() => undefined);
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
    if (errnoCode(error) === 'EEXIST') return undefined;
    throw writingError(path, error);
  }
}

async function hold(path: string, handle: FileHandle): Promise<AsyncDisposable> {
  const { ino } = await handle.stat();
  const heartbeat = setInterval(() => {
    const now = new Date();
    handle.utimes(now, now).catch(() => clearInterval(heartbeat)); // the only effect: others break the lock earlier
  }, HEARTBEAT_MS);
  heartbeat.unref();
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(heartbeat);
      await handle.close();
      // Another process may have broken the lock while this one was stopped.
      if ((await inodeOf(path)) === ino) await rm(path, { force: true });
    },
  };
}

/** Removes the lock of a holder that is gone; says whether there is none now. */
async function removeIfAbandoned(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  if (!found) return true;
  // The lock of another user may be unreadable; then its age alone counts.
  const text = await readFile(path, 'utf8').catch(() => UNREADABLE);
  if (!isAbandoned(text, found.mtimeMs)) return false;
  if (text === '' && (await isHeldByKernel(found))) return false;
  // Renamed before it is deleted: if another process made a new lock meanwhile, that one was renamed, and is put back.
  const aside = `${path}.${randomUUID().slice(0, 8)}`;
  try {
    await rename(path, aside);
    if ((await inodeOf(aside)) !== found.ino) await putBack(aside, path);
  } catch (error) {
    const isTaken = ['ENOENT', 'EEXIST'].includes(errnoCode(error) ?? '') || isInUse(error);
    if (!isTaken) throw writingError(path, error);
  } finally {
    await rm(aside, { force: true });
  }
  return true;
}

/** Where a disk has no hard links, a lock that was made in between is lost. */
async function putBack(aside: string, path: string): Promise<void> {
  try {
    await link(aside, path);
  } catch (error) {
    if (errnoCode(error) === 'EEXIST') throw error;
    await rename(aside, path);
  }
}

/** Whether the holder that a lock file names is gone; the file was last touched at `touchedMs`. */
export function isAbandoned(text: string, touchedMs: number, nowMs = Date.now()): boolean {
  const silentMs = nowMs - touchedMs;
  const [pid = '', host = ''] = text.split('\n');
  if (!/^\d+$/.test(pid) || host === '') return silentMs > UNSIGNED_MS;
  if (host !== hostname()) return silentMs > STALE_MS;
  if (!isAlive(Number(pid))) return true;
  // A process that started after the last touch was given the id of one that is gone.
  return silentMs > STALE_MS && (startOf(Number(pid)) ?? nowMs) > touchedMs;
}

/** When a process started, in milliseconds since 1970; undefined where the system does not tell (it does on Linux). */
function startOf(pid: number): number | undefined {
  try {
    const [, behindName = ''] = /^.*\) (.*)$/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? [];
    const startMs = Date.now() - uptime() * 1000 + Number(behindName.split(' ')[START_FIELD]) * TICK_MS;
    return Number.isNaN(startMs) ? undefined : startMs;
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return errnoCode(error) === 'EPERM'; // it exists, and belongs to another user
  }
}

/**
 * Python locks the same file, empty, with `flock`, which leaves it in place afterwards. Linux lists such locks;
 * elsewhere an empty file counts as free, which does no harm to Python's writers (each writes a file of its own).
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
