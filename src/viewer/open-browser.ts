/** Viewer: the address shown in the user's own browser. */
import { spawn } from 'node:child_process';
import { messageOf } from '../formats/system-errors.ts';

/** What a desktop opens an address with. */
const OPENERS: Partial<Record<NodeJS.Platform, readonly [program: string, ...args: string[]]>> = {
  darwin: ['open'],
  win32: ['cmd', '/c', 'start', ''],
};
const OTHER_OPENER = ['xdg-open'] as const;

/** Null, or why it could not be opened: no reason to end a server that can be reached by hand. */
export function openBrowser(address: string): Promise<string | null> {
  const [program, ...args] = OPENERS[process.platform] ?? OTHER_OPENER;
  return new Promise((resolve) => {
    const child = spawn(program, [...args, address], { stdio: 'ignore', detached: true });
    child.once('error', (error) => resolve(`no browser was opened: ${messageOf(error)}`));
    child.once('spawn', () => {
      child.unref();
      resolve(null);
    });
  });
}
