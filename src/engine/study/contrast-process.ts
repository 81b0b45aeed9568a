/**
 * Engine: a contrast in a process of its own. A large study takes seconds in which nothing else could run, and memory that is given back
 * when the process ends.
 */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { EXIT, TracerError } from '../../errors.ts';
import type { FromContrast, SentContrast } from './contrast-worker.ts';
import type { MeasuredContrast, MeasureRequest } from './measure-contrast.ts';

const WORKER = fileURLToPath(new URL('./contrast-worker.js', import.meta.url));

/** Errors are those of `measureContrast`. An aborted `signal` ends the process. */
export async function contrastInProcess(request: MeasureRequest): Promise<MeasuredContrast> {
  const { onProgress, signal, ...rest } = request;
  const sent: SentContrast = rest;
  signal?.throwIfAborted();
  const child = fork(WORKER, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], serialization: 'advanced' });
  const stop = (): void => void child.kill();
  signal?.addEventListener('abort', stop);
  try {
    return await new Promise((resolve, reject) => {
      child.on('message', (message: FromContrast) => {
        switch (message.kind) {
          case 'progress':
            return onProgress?.(message.event);
          case 'done':
            return resolve(message.measured);
          case 'failed':
            return reject(new TracerError(message.failure.exit_code, message.failure.error));
        }
      });
      child.once('error', reject);
      child.once('exit', (code, how) => {
        reject(signal?.aborted ? (signal.reason as Error) : lost(how ?? `exit code ${code}`));
      });
      child.send(sent, (error) => {
        if (error) reject(error);
      });
    });
  } finally {
    signal?.removeEventListener('abort', stop);
    stop();
  }
}

function lost(how: string): TracerError {
  return new TracerError(EXIT.unexpected, {
    code: 'worker_lost',
    message: `the process that computed the contrast ended (${how})`,
    hint: 'It may have run out of memory: choose groups with fewer graphs.',
  });
}
