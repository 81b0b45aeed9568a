/**
 * Viewer, access: which names in the `Host` header of a request belong to this server. Any other name may be that of a foreign
 * site whose DNS entry now points to this machine, which defeats the same-origin policy of browsers (DNS rebinding).
 */
import { hostname, networkInterfaces } from 'node:os';
import { UsageError } from '../errors.ts';

export const LOOPBACK = '127.0.0.1';
/** Listening on these is listening on every address of the machine. */
const EVERY_ADDRESS = ['0.0.0.0', '::', '[::]'];
/** A name or an address, and optionally a port. */
const HOST_HEADER = /^(?:[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::\d*)?$/i;
/**
 * RFC 6761 reserves `localhost` and all names below it for the machine itself. The last form is 127.x.x.x as an IPv4-mapped
 * address of IPv6 (RFC 4291, 2.5.5.2).
 */
const LOOPBACK_NAME =
  /^(?:(?:[^.]+\.)*localhost|127(?:\.\d+){3}|\[::1\]|\[::ffff:7f[0-9a-f]{2}:[0-9a-f]{1,4}\])$/;

/** A host as it is written in a URL: IPv6 addresses in brackets. */
export function urlHost(host: string): string {
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
}

/** The host for the printed address: for `0.0.0.0`, which cannot be opened, an address of this machine. */
export function reachableName(host: string): string {
  if (!EVERY_ADDRESS.includes(host)) return host;
  const outer = machineAddresses().find(({ internal, family }) => !internal && family === 'IPv4');
  return outer?.address ?? LOOPBACK;
}

/**
 * The name in a `Host` header, as the URL parser normalises it, without the port and the dot of the DNS root; null for a
 * malformed header.
 */
export function hostName(header: string | undefined): string | null {
  if (header === undefined || !HOST_HEADER.test(header)) return null;
  const address = `http://${header}`;
  return URL.canParse(address) ? new URL(address).hostname.replace(/\.$/, '') : null;
}

/**
 * Whether an `Origin` has the name and port of this `Host`. Its scheme may be http or https, since a reverse proxy may terminate
 * TLS.
 */
export function isOriginOf(host: string, origin: string): boolean {
  const scheme = /^https?:\/\//i.exec(origin)?.[0];
  if (scheme === undefined || !HOST_HEADER.test(origin.slice(scheme.length))) return false;
  const own = `${scheme}${host}`;
  return URL.canParse(own) && URL.canParse(origin) && new URL(own).host === new URL(origin).host;
}

/**
 * A function that tells whether a name, as `hostName` gives it, belongs to the server. Loopback names always do, and ports are
 * not compared: behind a forwarded port the browser has another port, and no foreign site can have a loopback name.
 * @param host address that the server listens on; undefined: loopback only
 * @param allowedHosts names of a reverse proxy
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

/** The normalised name. Throws `UsageError` for anything but a name. */
function allowedName(text: string): string {
  const address = `http://${urlHost(text)}/`;
  const url = URL.canParse(address) ? new URL(address) : null;
  if (url !== null && url.port === '' && url.href === `http://${url.hostname}/`) {
    const name = hostName(url.hostname);
    if (name) return name;
  }
  throw new UsageError({
    code: 'bad_value',
    message: `--allow-host: expected the name of a host, found ${JSON.stringify(text)}`,
    hint: 'Give the name alone, without scheme, port and path: --allow-host hub.example.org.',
  });
}
