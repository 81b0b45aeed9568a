/** Benchmark: the real command line in a process of its own. */
import { spawn } from 'node:child_process';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const BINARY = path.join(import.meta.dirname, '..', 'bin', 'tracer.js');

/**
 * Runs `tracer` and waits for it. Throws with what it wrote on stderr when it fails.
 * @param options `preload`: a module that is loaded first; `env`: further variables
 */
export async function tracer(args, { preload, env = {} } = {}) {
  const startMs = performance.now();
  const first = preload ? ['--import', pathToFileURL(preload).href] : [];
  const child = spawn(process.execPath, [...first, BINARY, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  const [out, err] = [[], []];
  child.stdout.on('data', (bytes) => out.push(bytes));
  child.stderr.on('data', (bytes) => err.push(bytes));
  const [exitCode, signal] = await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, name) => resolve([code, name]));
  });
  const wallSeconds = (performance.now() - startMs) / 1000;
  if (exitCode !== 0) {
    const text = Buffer.concat([...err, ...out]).toString();
    throw new Error(`tracer ${args.join(' ')} ended with ${signal ?? exitCode}:\n${text}`);
  }
  return { wallSeconds, stdout: Buffer.concat(out).toString() };
}

/** As `tracer`, with the `data` of its JSON answer. */
export async function tracerData(args, options) {
  const { wallSeconds, stdout } = await tracer([...args, '--json', '--quiet'], options);
  return { wallSeconds, data: JSON.parse(stdout).data };
}

/** Several runs, one after the other; each in a fresh process. */
export async function repeated(runs, work) {
  const results = [];
  for (let i = 0; i < runs; i++) results.push(await work());
  return results;
}

/** Median and best of several times. */
export function spread(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return { median, best: sorted[0] };
}
