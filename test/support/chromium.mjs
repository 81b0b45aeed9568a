/** Tests of the page need a Chromium of this machine: where it is, and how it comes there. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

export const WITHOUT_CHROMIUM =
  'The tests of the page need Chromium: install it (Debian: apt-get install chromium), or set CHROMIUM_PATH to a Chrome or Chromium.';

/** Path of the executable; undefined when there is none. @returns {string | undefined} */
export function findChromium() {
  const given = process.env['CHROMIUM_PATH'];
  if (given !== undefined && given !== '') return existsSync(given) ? given : undefined;
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return folders
    .flatMap((folder) => NAMES.map((name) => join(folder, name)))
    .find((file) => existsSync(file));
}

/** Installs Debian's where it is missing and this process may; tells whether there is one now. @returns {boolean} */
export function installChromium() {
  if (findChromium() !== undefined) return true;
  if (process.env['CHROMIUM_PATH'] || process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get'))
    return false;
  console.error('Chromium: installing Debian’s package');
  for (const args of [['update'], ['install', '-y', '--no-install-recommends', 'chromium']]) {
    const { status } = spawnSync('apt-get', ['-qq', ...args], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    });
    if (status !== 0) console.error(`Chromium: apt-get ${args[0]} ended with ${status}`);
  }
  return findChromium() !== undefined;
}
