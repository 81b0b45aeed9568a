/** Engine, verb `train`: the folder of a set, which one training at a time writes to, and which holds one set. */
import { existsSync } from 'node:fs';
import { rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { UsageError } from '../../errors.ts';
import { acquireLock } from '../../formats/lock.ts';
import { errnoCode } from '../../formats/system-errors.ts';
import { SET_CONFIG } from '../../trainer/export.ts';
import { checkpointFile, STATE_FOLDER } from '../../trainer/options.ts';
import type { TrainRequest } from './types.ts';

/** A process that was lost with its machine leaves a lock, which counts as held for a minute. */
const ABANDONED_LOCK_MS = 90_000;

/**
 * Keeps other trainings out of the folder until it is disposed; of one that wrote nothing no empty folder is left. Throws `UsageError`
 * for a folder with a set, with an interrupted training that is not to be resumed, or that another training writes to. Whoever resumes
 * waits for as long as a process that was lost may seem to be there.
 */
export async function claimFolder(request: TrainRequest): Promise<AsyncDisposable> {
  const { output, resume, signal, onProgress } = request;
  refuseFinished(request);
  const wasThere = existsSync(output);
  const patience = AbortSignal.timeout(ABANDONED_LOCK_MS);
  const onWait = (): void => {
    if (!resume) throw inUse(output);
    const seconds = ABANDONED_LOCK_MS / 1000;
    const message = `Another training seems to be writing to ${output}; waiting ${seconds} s for it at most`;
    onProgress?.({ kind: 'note', message });
  };
  const lock = await acquireLock(join(output, STATE_FOLDER, 'lock'), {
    signal: signal ? AbortSignal.any([signal, patience]) : patience,
    onWait,
  }).catch((error: unknown) => {
    throw patience.aborted && error === patience.reason ? inUse(output) : error;
  });
  const claim = {
    async [Symbol.asyncDispose](): Promise<void> {
      await lock[Symbol.asyncDispose]();
      await removeEmpty(join(output, STATE_FOLDER));
      if (!wasThere) await removeEmpty(output);
    },
  };
  try {
    refuseFinished(request); // it may have ended meanwhile
    return claim;
  } catch (error) {
    await claim[Symbol.asyncDispose]();
    throw error;
  }
}

/** A folder with something in it stays, and so does one that is gone already. */
async function removeEmpty(folder: string): Promise<void> {
  try {
    await rmdir(folder);
  } catch (error) {
    if (!['ENOTEMPTY', 'EEXIST', 'ENOENT', 'ENOTDIR'].includes(errnoCode(error) ?? '')) throw error;
  }
}

function refuseFinished({ output, resume }: TrainRequest): void {
  const isInterrupted = existsSync(checkpointFile(output));
  if (isInterrupted && !resume) {
    throw new UsageError({
      code: 'training_interrupted',
      message: `${join(output, STATE_FOLDER)} holds the state of a training that was interrupted`,
      hint: '--resume continues with it; remove that folder to begin anew.',
    });
  }
  if (!isInterrupted && existsSync(join(output, SET_CONFIG))) {
    throw new UsageError({
      code: 'set_exists',
      message: `${output} holds a set already`,
      hint: 'Give --output another folder, or remove this one.',
    });
  }
}

function inUse(output: string): UsageError {
  return new UsageError({
    code: 'training_running',
    message: `another training is writing to ${output}`,
    hint: 'Wait until it is done, or give --output another folder: parts of a set have one each.',
  });
}
