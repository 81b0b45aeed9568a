/** Viewer: opens the page in the default browser. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { messageOf } from '../formats/system-errors.ts';
import { xmlText } from '../graph/export.ts';

/** Programs that open an address or a file. On Windows not `start`, a command of the shell, which ends an address at `&`. */
const OPENERS: Partial<Record<NodeJS.Platform, readonly [program: string, ...args: string[]]>> = {
  darwin: ['open'],
  win32: ['rundll32', 'url.dll,FileProtocolHandler'],
};
const OTHER_OPENER = ['xdg-open'] as const;

/**
 * Null, or why no browser could be opened, which is not an error. An address with a token is passed in a file that only its owner
 * can read, since every account of the machine can see the arguments of a program.
 */
export async function openBrowser(
  address: string,
  { isSecret }: { readonly isSecret: boolean },
): Promise<string | null> {
  const [program, ...args] = OPENERS[process.platform] ?? OTHER_OPENER;
  return await new Promise((resolve) => {
    const target = isSecret ? redirectFile(address) : address;
    const child = spawn(program, [...args, target], { stdio: 'ignore', detached: true });
    child.once('error', (error) => resolve(`no browser was opened: ${messageOf(error)}`));
    child.once('spawn', () => {
      child.unref();
      resolve(null);
    });
  });
}

/** A page that redirects to the address. It is removed when the program ends. */
function redirectFile(address: string): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'tracer-open-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const file = path.join(folder, 'open.html');
  const target = xmlText(address);
  writeFileSync(
    file,
    `<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer"><title>tracer</title><meta http-equiv="refresh" content="0; url=${target}"><a href="${target}">tracer</a>\n`,
    { mode: 0o600 },
  );
  return file;
}
