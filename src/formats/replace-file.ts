/**
 * Files, helper of writers: a rename that replaces what is there. On Windows it is refused while another program has one of the two
 * files open without sharing it (a virus scanner, an indexer, a reader in Python); that passes, so it is tried again for a while.
 */
import { rename } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { errnoCode } from './system-errors.ts';

/** What Windows answers. Elsewhere these mean that the user may not write there, which does not pass. */
const IN_USE = ['EPERM', 'EACCES', 'EBUSY'];
const TRIES = 8;
const FIRST_WAIT_MS = 10;

/** Whether Windows refused because another program has the file open. */
export function isInUse(error: unknown, platform: NodeJS.Platform = process.platform): boolean {
  return platform === 'win32' && IN_USE.includes(errnoCode(error) ?? '');
}

/** As `rename` of node:fs. The last parameter is for tests. */
export async function replaceFile(
  from: string,
  to: string,
  system: { readonly platform: NodeJS.Platform; readonly rename: typeof rename } = {
    platform: process.platform,
    rename,
  },
): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await system.rename(from, to);
    } catch (error) {
      if (!isInUse(error, system.platform) || tries === TRIES) throw error;
      await wait(FIRST_WAIT_MS * 2 ** (tries - 1));
    }
  }
}
