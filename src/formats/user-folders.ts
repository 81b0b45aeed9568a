/**
 * Files, user folders: where tracer keeps data, settings and caches, by the convention of each system (XDG base directories,
 * Apple's Library, Windows' AppData). A variable that is empty counts as unset: a job scheduler or container that sets
 * HOME='' does not mean the working folder.
 */
import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';
import { UsageError } from '../errors.ts';

export type UserFolder = 'data' | 'config' | 'cache';

const NAME = 'tracer';

/** HOME (USERPROFILE on Windows), else the entry of the user database. Throws `UsageError` where neither is there. */
export function homeFolder(): string {
  try {
    const home = homedir() || userInfo().homedir;
    if (home !== '') return home;
  } catch (cause) {
    throw noHome(cause);
  }
  throw noHome();
}

/** Where data (TensorFlow, labels), settings, or what can be made again is kept; the folder need not exist. */
export function userFolder(kind: UserFolder, env: NodeJS.ProcessEnv = process.env): string {
  switch (process.platform) {
    case 'darwin': {
      const names = { data: 'Application Support', config: 'Preferences', cache: 'Caches' };
      return join(homeFolder(), 'Library', names[kind], NAME);
    }
    case 'win32': {
      const appData = join('AppData', kind === 'config' ? 'Roaming' : 'Local');
      const root = (kind === 'config' ? env.APPDATA : env.LOCALAPPDATA) || join(homeFolder(), appData);
      const names = { data: 'Data', config: 'Config', cache: 'Cache' };
      return join(root, NAME, names[kind]);
    }
    default:
      return join(xdgFolder(kind, env), NAME);
  }
}

/** The XDG base directory of a kind, for all programs. */
export function xdgFolder(kind: UserFolder, env: NodeJS.ProcessEnv = process.env): string {
  switch (kind) {
    case 'data':
      return env.XDG_DATA_HOME || join(homeFolder(), '.local', 'share');
    case 'config':
      return env.XDG_CONFIG_HOME || join(homeFolder(), '.config');
    case 'cache':
      return env.XDG_CACHE_HOME || join(homeFolder(), '.cache');
  }
}

function noHome(cause?: unknown): UsageError {
  return new UsageError({
    code: 'no_home',
    message:
      'the home folder is not known: HOME is not set or empty, and the user database has no entry for this user',
    hint: 'Set HOME, or name every folder: HF_HOME, XDG_DATA_HOME, XDG_CONFIG_HOME, XDG_CACHE_HOME.',
    cause,
  });
}
