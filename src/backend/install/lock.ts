/** Setting TensorFlow up, alongside: two runs at once, of which one works and the other waits. */
import { open, rm, stat, utimes } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';

const HEARTBEAT_MS = 2_000;
/** A holder that was killed leaves its lock; a living one touches it far more often than this. */
const STALE_MS = 15_000;
const POLL_MS = 500;

export interface Lock extends AsyncDisposable {
  readonly path: string;
}

/**
 * Takes the lock file, waiting for a living holder. It only saves double work: each run builds in a folder of its own
 * and renames it into place, so two holders (a clock that jumps, a stopped process) would do no harm.
 */
export async function takeLock(path: string, signal?: AbortSignal, onWait?: () => void): Promise<Lock> {
  for (let told = false; ; told = true) {
    signal?.throwIfAborted();
    if (await createLock(path)) break;
    if (!told) onWait?.();
    await wait(POLL_MS, undefined, { signal });
  }
  const heartbeat = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => undefined); // taken over: see above
  }, HEARTBEAT_MS);
  heartbeat.unref();
  return {
    path,
    async [Symbol.asyncDispose]() {
      clearInterval(heartbeat);
      await rm(path, { force: true });
    },
  };
}

async function createLock(path: string): Promise<boolean> {
  try {
    const file = await open(path, 'wx');
    await file.close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const ageMs = await stat(path).then(
    ({ mtimeMs }) => Date.now() - mtimeMs,
    () => 0, // just given back
  );
  if (ageMs > STALE_MS) await rm(path, { force: true });
  return false;
}
