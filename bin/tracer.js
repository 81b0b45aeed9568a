#!/usr/bin/env node
/** Starts the built command line. The only place that sets the exit code. */
import { existsSync } from 'node:fs';

const built = new URL('../dist/cli/main.js', import.meta.url);

if (existsSync(built)) {
  const { main } = await import(built.href);
  process.exitCode = await main(process, (exitCode) => process.exit(exitCode));
} else {
  process.stderr.write('error: tracer is not built yet: run `npm run build`\n');
  process.exitCode = 1;
}
