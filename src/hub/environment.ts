/** Hub: its address, the folder of the cache and time limits, read from the environment as Python's huggingface_hub does. */
import { join, resolve } from 'node:path';
import { UsageError } from '../errors.ts';
import { homeFolder, xdgFolder } from '../formats/user-folders.ts';
import { type Proxy, proxyFor } from './proxy.ts';
import { type AccessToken, findToken } from './token.ts';

export interface HubEnvironment {
  /** Address of the Hub, without a slash at its end. */
  readonly endpoint: string;
  /** No request may be made. */
  readonly offline: boolean;
  /** The folder that holds `models--owner--name`. */
  readonly cacheDir: string;
  /** Whether links may be made in it; on a disk without links, files are used in any case. */
  readonly mayLink: boolean;
  /** A connection on which nothing arrives for this long is closed. */
  readonly stallMs: number;
  /** The proxy that an address is reached through. Throws `UsageError` for a variable that names none. */
  readonly proxyFor: (url: string) => Proxy | undefined;
  /** Looked up when a request needs it, so that an unreadable token file does not stop work from the cache. */
  readonly token: () => AccessToken | undefined;
}

export interface HubOverrides {
  readonly cacheDir?: string | undefined;
  readonly offline?: boolean | undefined;
}

const DEFAULT_ENDPOINT = 'https://huggingface.co';
const DEFAULT_STALL_SECONDS = 10; // DEFAULT_DOWNLOAD_TIMEOUT of huggingface_hub

/**
 * The Hub as the environment describes it, flags first.
 * Throws `UsageError` for an endpoint that is no address and for a timeout that is no whole number of seconds.
 */
export function readHubEnvironment(
  overrides: HubOverrides = {},
  env: NodeJS.ProcessEnv = process.env,
): HubEnvironment {
  const folder = (text: string): string => resolve(expandPath(text, env));
  const home = folder(env.HF_HOME || join(xdgFolder('cache', env), 'huggingface'));
  const cacheDir = env.HF_HUB_CACHE || env.HUGGINGFACE_HUB_CACHE || join(home, 'hub');
  const tokenPath = folder(env.HF_TOKEN_PATH || join(home, 'token'));
  return {
    endpoint: parseEndpoint(env.HF_ENDPOINT),
    offline: overrides.offline ?? isTrue(env.HF_HUB_OFFLINE || env.TRANSFORMERS_OFFLINE),
    cacheDir: folder(overrides.cacheDir || cacheDir),
    mayLink: !isTrue(env.HF_HUB_DISABLE_SYMLINKS),
    stallMs: parseSeconds('HF_HUB_DOWNLOAD_TIMEOUT', env.HF_HUB_DOWNLOAD_TIMEOUT) * 1000,
    proxyFor: (url) => proxyFor(url, env),
    token: () => (isTrue(env.HF_HUB_DISABLE_IMPLICIT_TOKEN) ? undefined : findToken(env, tokenPath)),
  };
}

function isTrue(value: string | undefined): boolean {
  return value !== undefined && ['1', 'ON', 'YES', 'TRUE'].includes(value.toUpperCase());
}

/** `~` and `$NAME` or `${NAME}`; a variable that is not set stays as written, as in Python. */
export function expandPath(path: string, env: NodeJS.ProcessEnv = process.env): string {
  const home = path === '~' || /^~[/\\]/.test(path) ? join(homeFolder(), path.slice(1)) : path;
  return home.replace(
    /\$(?:(\w+)|\{(\w+)\})/g,
    (whole, plain: string | undefined, braced: string | undefined) => {
      return env[plain ?? braced ?? ''] ?? whole;
    },
  );
}

function parseEndpoint(text: string | undefined): string {
  const endpoint = (text || DEFAULT_ENDPOINT).replace(/\/+$/, '');
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  if (!url || !['http:', 'https:'].includes(url.protocol) || url.username || url.password || url.search) {
    throw new UsageError({
      code: 'bad_endpoint',
      message: 'HF_ENDPOINT must be a plain http or https address, without a name, password or query in it',
      hint: `Unset HF_ENDPOINT to use ${DEFAULT_ENDPOINT}, or set it to something like https://hub.example.org.`,
    });
  }
  return endpoint;
}

function parseSeconds(name: string, text: string | undefined): number {
  if (!text?.trim()) return DEFAULT_STALL_SECONDS;
  if (!/^\s*\d+\s*$/.test(text)) {
    throw new UsageError({
      code: 'bad_timeout',
      message: `${name} must be a whole number of seconds, found '${text}'`,
      hint: `Unset ${name} for the default of ${DEFAULT_STALL_SECONDS} seconds.`,
    });
  }
  return Number(text) || DEFAULT_STALL_SECONDS; // 0 means the default, as in Python
}
