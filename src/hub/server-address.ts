/** Hub: the address of a server that a user names, and the key for it, which comes from the environment and goes into one header. */
import { NetworkError, UsageError } from '../errors.ts';

export interface ServerAddress {
  /** Without a slash at its end, such as `http://localhost:11434/v1`. */
  readonly baseUrl: string;
  /** Host and port, for messages. */
  readonly host: string;
  /** Whether the server is on this machine. */
  readonly isLocal: boolean;
}

const LOOPBACK = /^(?:localhost|.+\.localhost|127(?:\.\d+){3}|\[::1\])$/;
const HEADER_TEXT = /^[\x21-\x7e]+$/;

export function isLoopback(hostname: string): boolean {
  return LOOPBACK.test(hostname);
}

/** Throws `UsageError` for a text that is no plain address; `name` is the flag or variable that it comes from. */
export function serverAddress(text: string, name: string, hint: string): ServerAddress {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPlain =
    url && /^https?:$/.test(url.protocol) && !url.username && !url.password && !url.search && !url.hash;
  if (!isPlain) {
    throw new UsageError({
      code: 'bad_server',
      // The text may hold a password and is not shown.
      message: `${name}: a plain http or https address is expected, without a name, password or query in it`,
      hint,
    });
  }
  return { baseUrl: url.href.replace(/\/+$/, ''), host: url.host, isLocal: isLoopback(url.hostname) };
}

/** The key in a variable; undefined where it is unset or empty. Throws `UsageError` for one that no header can carry. */
export function keyFrom(variable: string, env: NodeJS.ProcessEnv): string | undefined {
  const key = env[variable]?.trim();
  // `fetch` would repeat it in its own error.
  if (key && !HEADER_TEXT.test(key)) {
    throw new UsageError({
      code: 'bad_key',
      message: `${variable} holds no key: it has spaces, line breaks or letters that a header cannot carry`,
      hint: 'Set it to the key alone.',
    });
  }
  return key || undefined;
}

/** Throws `NetworkError` for a server on another machine while the network is off. */
export function requireOnline(
  { host, isLocal }: Pick<ServerAddress, 'host' | 'isLocal'>,
  offline = false,
): void {
  if (!offline || isLocal) return;
  throw new NetworkError({
    code: 'offline',
    message: `${host} is to be asked, but the network is switched off (--offline or HF_HUB_OFFLINE)`,
    hint: 'Start it without, or name a server on this machine.',
  });
}

/** Keys are sent in clear text over plain http; within a machine nobody else reads it. */
export function sendsKeyInClear(address: ServerAddress & { readonly key: string | undefined }): boolean {
  return address.key !== undefined && !address.isLocal && address.baseUrl.startsWith('http:');
}
