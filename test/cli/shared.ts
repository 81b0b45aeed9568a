/**
 * `tracer ARGS` without a process for each command: those of one test file share one, which has the program and the backend loaded
 * already. For tests of what a command says and writes; what belongs to the process itself (signals, pipes, files that may not grow,
 * several at once) is tested with `start.ts`. `npm run test:full` starts a process for every command here too.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll } from '@jest/globals';
import { IS_FULL } from '../support/golden.ts';
import {
  childEnvironment,
  emptyFolder,
  tracer as startTracer,
  type Finished,
  type StartOptions,
} from './start.ts';

const CHILD = fileURLToPath(new URL('../support/commands-child.mjs', import.meta.url));

let child: ChildProcess | undefined;
/** The command before: they share environment and folder, so each waits for the other. */
let previous: Promise<unknown> = Promise.resolve();

afterAll(async () => {
  if (child === undefined || child.exitCode !== null) return;
  const exited = once(child, 'exit');
  child.kill();
  await exited;
});

export function tracer(args: readonly string[], options: StartOptions = {}): Promise<Finished> {
  const needsOwn = options.largestFileBytes !== undefined || options.stdoutFile !== undefined;
  if (IS_FULL || needsOwn) return startTracer(args, options);
  const finished = previous.then(() => ask(args, options));
  previous = finished.catch(() => undefined);
  return finished;
}

async function ask(args: readonly string[], { env, cwd, input = '' }: StartOptions): Promise<Finished> {
  const to = (child ??= fork(CHILD, { execArgv: [], env: childEnvironment() }));
  const answer = new Promise<Finished>((resolve, reject) => {
    const ended = (code: number | null): void =>
      reject(new Error(`the process ended with ${code} at tracer ${args.join(' ')}`));
    to.once('exit', ended).once('message', (message) => {
      to.removeListener('exit', ended);
      resolve(message as Finished);
    });
  });
  to.send({
    args,
    env: childEnvironment(env),
    cwd: cwd ?? emptyFolder,
    input: Buffer.from(input).toString('base64'),
  });
  return await answer;
}
