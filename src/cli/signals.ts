/**
 * Ctrl-C and SIGTERM: the first asks the running command to clean up and stop, the second ends at once. Windows has no SIGTERM that a
 * program receives; there Ctrl-Break is a second Ctrl-C for consoles whose input a program reads. Elsewhere that name never arrives.
 */
import { EXIT, TracerError } from '../errors.ts';
import type { HostProcess } from './shell.ts';

const STOP_SIGNALS = [
  { name: 'SIGINT', exitCode: EXIT.interrupted },
  { name: 'SIGTERM', exitCode: EXIT.terminated },
  { name: 'SIGBREAK', exitCode: EXIT.interrupted },
] as const;

export interface StopRequest extends Disposable {
  /** Aborted with a `TracerError` that has the right exit code. */
  readonly signal: AbortSignal;
}

export function listenForStop(host: HostProcess, exitNow: (exitCode: number) => void): StopRequest {
  const controller = new AbortController();
  const listeners = STOP_SIGNALS.map(({ name, exitCode }) => {
    const listener = () => {
      if (controller.signal.aborted) return exitNow(exitCode);
      const message = `stopped by ${name}`;
      controller.abort(new TracerError(exitCode, { code: 'interrupted', message }));
    };
    host.on(name, listener);
    return { name, listener };
  });
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      for (const { name, listener } of listeners) host.removeListener(name, listener);
    },
  };
}
