/** Setting TensorFlow up: programs of the system (Python, compiler, Node) run as child processes. */
import { spawn } from 'node:child_process';

/** Enough to show why a program failed, whatever it prints. */
const LONGEST_OUTPUT_CHARS = 1_000_000;

export interface Finished {
  /** Null when a signal ended the program. */
  readonly exitCode: number | null;
  readonly endedBy: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly signal?: AbortSignal | undefined;
  /** Added to the environment of this process. */
  readonly env?: Readonly<Record<string, string>>;
  /** Written to the program's standard input, which is then closed. */
  readonly input?: string;
}

/**
 * Runs a program to its end and collects what it prints. Undefined when there is no such program.
 * An abort ends the program and throws the signal's reason.
 */
export async function runCommand(
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<Finished | undefined> {
  const { signal } = options;
  signal?.throwIfAborted();
  // A process group of its own, so that an abort also ends what the program started (the compiler behind g++).
  const detached = process.platform !== 'win32';
  const env = { ...process.env, ...options.env };
  const child = spawn(program, args, { env, stdio: 'pipe', detached });
  const stop = () => {
    const { pid, exitCode, signalCode } = child;
    if (pid === undefined || exitCode !== null || signalCode !== null) return; // it never started, or has ended
    process.kill(detached ? -pid : pid, 'SIGTERM');
  };
  signal?.addEventListener('abort', stop, { once: true });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout = keepEnd(stdout + text)));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = keepEnd(stderr + text)));
  // A program that ends without reading its input breaks the pipe; its exit code tells the rest.
  child.stdin.on('error', () => undefined).end(options.input ?? '');
  try {
    return await new Promise<Finished | undefined>((resolve, reject) => {
      child.once('error', (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT' || error.code === 'EACCES') resolve(undefined);
        else reject(error);
      });
      child.once('close', (exitCode, endedBy) => {
        if (signal?.aborted) reject(signal.reason as Error);
        else resolve({ exitCode, endedBy, stdout, stderr });
      });
    });
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}

/** The last lines of what a failed program printed, for a message. */
export function lastLines(text: string, count = 4): string {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .slice(-count)
    .join('\n');
}

function keepEnd(text: string): string {
  return text.length > LONGEST_OUTPUT_CHARS ? text.slice(-LONGEST_OUTPUT_CHARS) : text;
}
