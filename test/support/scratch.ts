/** A folder for one test, and an environment that is put back afterwards. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Scratch extends Disposable {
  readonly path: string;
}

export function scratchFolder(): Scratch {
  const path = mkdtempSync(join(tmpdir(), 'tracer-test-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** Sets variables (undefined: unsets) until the end of the brace. */
export function environment(changes: Readonly<Record<string, string | undefined>>): Disposable {
  const before = Object.fromEntries(Object.keys(changes).map((name) => [name, process.env[name]]));
  assign(changes);
  return { [Symbol.dispose]: () => assign(before) };
}

function assign(values: Readonly<Record<string, string | undefined>>): void {
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
}
