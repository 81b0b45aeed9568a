/** Starts the real binary, in an environment where only the given variables speak. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const BINARY = fileURLToPath(new URL('../../bin/tracer.js', import.meta.url));
export const FIXTURE = fileURLToPath(new URL('../fixtures/golden/tiny-a', import.meta.url));

/** Variables of the machine that would change what is tested. */
const SILENCED =
  /^(?:TRACER_(?:MODEL|TRANSCODERS|DEVICE|DTYPE)|HF_.*|NEURONPEDIA_.*|CI|FORCE_COLOR|NO_COLOR|NODE_OPTIONS|(?:HTTPS?|ALL|NO)_PROXY)$/i;

export interface Finished {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Written to standard input, which is then closed. */
  readonly input?: string | Buffer;
  /** Files may grow to about so many bytes, as on a disk that is nearly full. */
  readonly largestFileBytes?: number;
  /** Where standard output goes instead of coming back. */
  readonly stdoutFile?: string;
}

/** The shell's unit for the size of files; some shells count in twice as much. */
const ULIMIT_BYTES = 512;

/** An empty folder to work in, where no settings are found. */
export const emptyFolder = mkdtempSync(join(tmpdir(), 'tracer-cli-'));
process.on('exit', () => rmSync(emptyFolder, { recursive: true, force: true }));

/** Variables of a command: those of the machine that change nothing, folders of the tests, and the given ones. */
export function childEnvironment(env: Readonly<Record<string, string>> = {}): Record<string, string> {
  const inherited = Object.entries(process.env).filter(([name]) => !SILENCED.test(name));
  return {
    ...(Object.fromEntries(inherited) as Record<string, string>),
    XDG_CONFIG_HOME: emptyFolder,
    TRACER_LABELS_DIR: join(emptyFolder, 'labels'),
    TRACER_NEURONPEDIA_DIR: join(emptyFolder, 'neuronpedia'),
    HF_HUB_OFFLINE: '1',
    ...env,
  };
}

export function start(args: readonly string[], options: StartOptions = {}): ChildProcess {
  const limit = options.largestFileBytes;
  const words = [process.execPath, BINARY, ...args];
  const limited = [
    'sh',
    '-c',
    `ulimit -f ${Math.floor((limit ?? 0) / ULIMIT_BYTES)}; exec "$0" "$@"`,
    ...words,
  ];
  const [program, ...rest] = limit === undefined ? words : limited;
  return spawn(program!, rest, {
    stdio: ['pipe', options.stdoutFile === undefined ? 'pipe' : openSync(options.stdoutFile, 'w'), 'pipe'],
    cwd: options.cwd ?? emptyFolder,
    env: childEnvironment(options.env),
  });
}

export function finish(child: ChildProcess): Promise<Finished> {
  return new Promise((resolve, reject) => {
    let stdout = '';
    let stderr = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', reject);
    child.on('close', (exitCode) => resolve({ exitCode, stdout, stderr }));
  });
}

/** Runs `tracer ARGS` to its end. */
export async function tracer(args: readonly string[], options: StartOptions = {}): Promise<Finished> {
  const child = start(args, options);
  child.stdin?.end(options.input ?? '');
  return await finish(child);
}

export interface Envelope {
  readonly schema_version: number;
  readonly command: string;
  readonly data?: Record<string, unknown>;
  readonly error?: { readonly code: string; readonly message: string; readonly hint?: string };
}

/** The one document on standard output; throws when there is more or less than that. */
export function envelope({ stdout }: Finished): Envelope {
  return JSON.parse(stdout) as Envelope;
}

/** At most so many pairs of starts: a busy machine needs several to show what a start really takes. */
const MOST_STARTS = 40;

/**
 * How much longer `tracer ARGS` takes to start than Node alone, in starts of Node alone (some 40 ms on a quick machine, 90 on a slow
 * one): a ratio of the same run, so that it is the program's and not the machine's. The fastest start of each, taken in turn until
 * the ratio is below `enough` or there were enough.
 */
export async function startsOfNode(args: readonly string[], enough: number): Promise<number> {
  const time = async (work: () => Promise<unknown>): Promise<number> => {
    const fromMs = performance.now();
    await work();
    return performance.now() - fromMs;
  };
  let ours = Infinity;
  let bare = Infinity;
  const ratio = (): number => (ours - bare) / bare;
  for (let i = 0; i < MOST_STARTS && (i < 3 || ratio() >= enough); i++) {
    ours = Math.min(ours, await time(() => tracer(args)));
    bare = Math.min(bare, await time(() => finish(spawn(process.execPath, ['-e', '0']))));
  }
  return ratio();
}
