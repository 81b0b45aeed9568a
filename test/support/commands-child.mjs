/**
 * Runs commands of the built command line one after the other, each with the environment, folder and streams of a process of its
 * own; what they answer goes back to the test (`test/cli/shared.ts`).
 */
import { EventEmitter } from 'node:events';
import { Readable, Writable } from 'node:stream';
import { main } from '../../dist/cli/main.js';

const BINARY = new URL('../../bin/tracer.js', import.meta.url).pathname;

function setEnvironment(env) {
  for (const name of Object.keys(process.env)) if (!(name in env)) delete process.env[name];
  Object.assign(process.env, env);
}

/** A stream that nobody watches, and what was written to it. */
function collector() {
  const chunks = [];
  const stream = new Writable({
    write(chunk, _encoding, done) {
      chunks.push(chunk);
      done();
    },
  });
  return { stream, text: () => Buffer.concat(chunks).toString('utf8') };
}

async function run({ args, env, cwd, input }) {
  setEnvironment(env);
  process.chdir(cwd);
  const [stdout, stderr] = [collector(), collector()];
  const signals = new EventEmitter();
  const exitCode = await main(
    {
      argv: [process.execPath, BINARY, ...args],
      env: process.env,
      cwd: () => process.cwd(),
      stdin: Readable.from(input === '' ? [] : [Buffer.from(input, 'base64')], { objectMode: false }),
      stdout: stdout.stream,
      stderr: stderr.stream,
      on: (name, listener) => signals.on(name, listener),
      removeListener: (name, listener) => signals.removeListener(name, listener),
    },
    (code) => process.exit(code),
  );
  return { exitCode, stdout: stdout.text(), stderr: stderr.text() };
}

process.on('message', async (request) => process.send(await run(request)));
process.on('disconnect', () => process.exit());
