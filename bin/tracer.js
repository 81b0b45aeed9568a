#!/usr/bin/env node
/** Starts the built command line. The only place that sets the exit code. */
import { existsSync } from 'node:fs';

/** What is still open after the command is done has this long to close by itself. */
const LINGER_MS = 500;
const built = new URL('../dist/cli/main.js', import.meta.url);

if (existsSync(built)) {
  const { main } = await import(built.href);
  process.exitCode = await main(process, (exitCode) => process.exit(exitCode));
  // A connection that was given up (a name still being looked up, a silent proxy) can keep Node alive for minutes.
  setTimeout(() => process.exit(), LINGER_MS).unref();
} else {
  process.stderr.write('error: tracer is not built yet: run `npm run build`\n');
  process.exitCode = 1;
}
