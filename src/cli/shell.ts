/** The environment of a command: the process it runs in, the signal that stops it, and the exit code it ends with. */
import { EXIT } from '../errors.ts';

/** The part of `process` that the command line uses. */
export type HostProcess = Pick<
  NodeJS.Process,
  'argv' | 'env' | 'cwd' | 'stdin' | 'stdout' | 'stderr' | 'on' | 'removeListener'
>;

export class Shell {
  readonly host: HostProcess;
  readonly signal: AbortSignal;
  /** Arguments after the program's name. */
  readonly args: readonly string[];
  exitCode: number = EXIT.done;

  constructor(host: HostProcess, signal: AbortSignal) {
    this.host = host;
    this.signal = signal;
    this.args = host.argv.slice(2);
  }

  /** Whether a flag was typed, known before anything is parsed: an error in the command line itself is also printed as JSON. */
  typed(flag: string): boolean {
    const end = this.args.indexOf('--');
    return (end === -1 ? this.args : this.args.slice(0, end)).includes(flag);
  }
}
