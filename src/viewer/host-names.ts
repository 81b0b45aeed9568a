/**
 * Viewer, access: the names in a request's `Host` header that are this server's. Any other name may be that of a foreign site
 * whose address was changed to this machine's to get around the browser's same-origin policy (DNS rebinding).
 */
import { hostname, networkInterfaces } from 'node:os';
import { UsageError } from '../errors.ts';

export const LOOPBACK = '127.0.0.1';
/** Listening on these is listening on every address of the machine. */
const EVERY_ADDRESS = ['0.0.0.0', '::', '[::]'];
/** A name or an address, and a port. What else a URL could hold before its path (`user@`) is no part of the header. */
const HOST_HEADER = /^(?:[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::\d*)?$/i;
/** RFC 6761 keeps `localhost` and all names below it for the machine itself; the addresses are as a URL spells them. */
const LOOPBACK_NAME = /^(?:(?:[^.]+\.)*localhost|127(?:\.\d+){3}|\[::1\])$/;

/** An IPv6 address as it stands in a URL. */
export function urlHost(host: string): string {
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
}

/** A name that a browser can open: `0.0.0.0` is none. */
export function reachableName(host: string): string {
  if (!EVERY_ADDRESS.includes(host)) return host;
  const outer = machineAddresses().find(({ internal, family }) => !internal && family === 'IPv4');
  return outer?.address ?? LOOPBACK;
}

/** What a `Host` header names, spelt as in a URL and without the port; null when it is no such header. */
export function hostName(header: string | undefined): string | null {
  if (header === undefined || !HOST_HEADER.test(header)) return null;
  const address = `http://${header}`;
  return URL.canParse(address) ? new URL(address).hostname : null;
}

/**
 * Whether an `Origin` is the page at this `Host`: the same name and port. The scheme may be either, since TLS may end at a
 * reverse proxy.
 */
export function isOriginOf(host: string, origin: string): boolean {
  const scheme = /^https?:\/\//i.exec(origin)?.[0];
  if (scheme === undefined || !HOST_HEADER.test(origin.slice(scheme.length))) return false;
  const own = `${scheme}${host}`;
  return URL.canParse(own) && URL.canParse(origin) && new URL(own).host === new URL(origin).host;
}

/**
 * Names of a server, as `hostName` spells them. Loopback names are always among them, with any port: behind a forwarded port
 * the browser's port is another one, and no foreign site can have such a name.
 * @param host where the server listens; left out: on this machine only
 * @param allowedHosts names that a reverse proxy is reached by
 */
export function ownNames(
  host: string | undefined,
  allowedHosts: readonly string[] = [],
): (name: string) => boolean {
  const names = new Set(allowedHosts.map(allowedName));
  const listening = host !== undefined && EVERY_ADDRESS.includes(host) ? machineNames() : [host];
  for (const name of listening) {
    const spelt = name === undefined ? null : hostName(urlHost(name));
    if (spelt !== null) names.add(spelt);
  }
  return (name) => LOOPBACK_NAME.test(name) || names.has(name);
}

function machineNames(): string[] {
  return [hostname(), ...machineAddresses().map(({ address }) => address)];
}

function machineAddresses() {
  return Object.values(networkInterfaces()).flatMap((list) => list ?? []);
}

/** Throws `UsageError` for what is not a name alone. */
function allowedName(text: string): string {
  const address = `http://${urlHost(text)}/`;
  const url = URL.canParse(address) ? new URL(address) : null;
  if (url !== null && url.port === '' && url.href === `http://${url.hostname}/` && hostName(url.hostname)) {
    return url.hostname;
  }
  throw new UsageError({
    code: 'bad_value',
    message: `--allow-host: expected the name of a host, found ${JSON.stringify(text)}`,
    hint: 'Give the name alone, without scheme, port and path: --allow-host hub.example.org.',
  });
}
