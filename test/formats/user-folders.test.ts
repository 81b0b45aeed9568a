import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from '@jest/globals';
import { userFolder } from '../../src/formats/user-folders.ts';

const itOnLinux = process.platform === 'linux' ? it : it.skip;
const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** The folders that a process with these variables alone would use. */
function foldersWith(env: Record<string, string>): Record<string, string> {
  const args = ['--import', here('../support/register.mjs'), here('child/print-folders.ts')];
  const { stdout, stderr } = spawnSync(process.execPath, args, { env, encoding: 'utf8' });
  if (stderr !== '') throw new Error(stderr);
  return JSON.parse(stdout) as Record<string, string>;
}

describe('The folders of a user', () => {
  itOnLinux('are the XDG base directories, named or not', () => {
    expect(userFolder('data', {})).toBe(join(homedir(), '.local/share/tracer'));
    expect(userFolder('config', { XDG_CONFIG_HOME: '/settings' })).toBe('/settings/tracer');
    expect(userFolder('cache', { XDG_CACHE_HOME: '/cache' })).toBe('/cache/tracer');
  });

  itOnLinux(
    'lie in the home of the user database where HOME is empty, and so does the cache of the Hub',
    () => {
      const home = userInfo().homedir;
      const empty = {
        HOME: '',
        XDG_DATA_HOME: '',
        XDG_CONFIG_HOME: '',
        XDG_CACHE_HOME: '',
        HF_HOME: '',
        HF_HUB_CACHE: '',
        HF_TOKEN_PATH: '',
        TRACER_DATA_DIR: '',
        TRACER_LABELS_DIR: '',
      };
      expect(foldersWith(empty)).toEqual({
        data: join(home, '.local/share/tracer'),
        settings: join(home, '.config/tracer/config.json'),
        tokenizers: join(home, '.cache/tracer'),
        hub: join(home, '.cache/huggingface/hub'),
        labels: join(home, '.local/share/tracer/labels'),
        tilde: join(home, 'models'),
      });
    },
  );

  itOnLinux('follow HOME where it is set', () => {
    expect(foldersWith({ HOME: '/somewhere' })).toMatchObject({
      data: '/somewhere/.local/share/tracer',
      hub: '/somewhere/.cache/huggingface/hub',
      tilde: '/somewhere/models',
    });
  });
});
