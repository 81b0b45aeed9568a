/**
 * Hub: which proxy a request goes through, read from the variables that curl, Python and undici's EnvHttpProxyAgent read:
 * HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, in lower or upper case, lower case first. An empty one counts as unset.
 */
import { BlockList, isIP } from 'node:net';
import { UsageError } from '../errors.ts';

export interface Proxy {
  /** Address without name and password. */
  readonly url: string;
  /** How messages name it: host and port, and the variable. */
  readonly name: string;
  readonly username: string;
  readonly password: string;
}

/** In the order in which they count. As with EnvHttpProxyAgent, HTTP_PROXY alone serves https too. */
const VARIABLES = {
  'http:': ['HTTP_PROXY', 'ALL_PROXY'],
  'https:': ['HTTPS_PROXY', 'ALL_PROXY', 'HTTP_PROXY'],
};
const DEFAULT_PORTS = { 'http:': '80', 'https:': '443' };
const PROXY_PROTOCOLS = ['http:', 'https:', 'socks5:', 'socks:'];

/** The proxy for an address, or undefined for a direct connection. Throws `UsageError` for a variable that names no proxy. */
export function proxyFor(address: string, env: NodeJS.ProcessEnv): Proxy | undefined {
  const url = new URL(address);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return undefined;
  for (const name of VARIABLES[url.protocol]) {
    const found = variable(env, name);
    if (found) return isExempt(url, variable(env, 'NO_PROXY')?.value ?? '') ? undefined : parseProxy(found);
  }
  return undefined;
}

interface Variable {
  readonly name: string;
  readonly value: string;
}

function variable(env: NodeJS.ProcessEnv, upper: string): Variable | undefined {
  for (const name of [upper.toLowerCase(), upper]) {
    const value = env[name]?.trim();
    if (value) return { name, value };
  }
  return undefined;
}

function parseProxy({ name, value }: Variable): Proxy {
  // `proxy.example:3128` means http, as in curl. The h of socks5h means that the proxy resolves names, which it always does here.
  const text = (value.includes('://') ? value : `http://${value}`).replace(/^socks5h:/i, 'socks5:');
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url?.hostname || !PROXY_PROTOCOLS.includes(url.protocol)) {
    throw new UsageError({
      code: 'bad_proxy',
      // The value may hold a password and is not shown.
      message: `${name} names no proxy: an address that begins with http://, https:// or socks5:// is expected`,
      hint: `Set ${name} to something like http://proxy.example:3128, or unset it.`,
    });
  }
  const [username, password] = [url.username, url.password].map(decode);
  [url.username, url.password] = ['', ''];
  return { url: url.href, name: `${url.host} (${name})`, username: username!, password: password! };
}

/** A stray `%` in a password stands for itself. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * Whether NO_PROXY exempts an address: `*`, a host and its subdomains (`example.com`, `.example.com`, `*.example.com`), an
 * IP address or a range of them (`10.0.0.0/8`), each with or without `:port`.
 */
function isExempt({ protocol, hostname, port }: URL, noProxy: string): boolean {
  const host = plainHost(hostname);
  const askedPort = port || DEFAULT_PORTS[protocol as keyof typeof DEFAULT_PORTS];
  return noProxy.split(/[\s,]+/).some((entry) => {
    if (entry === '*') return true;
    // An IPv6 address without brackets has no port.
    const [, named = entry, onPort] = /^(\[.*\]|[^:]*)(?::(\d+))?$/.exec(entry) ?? [];
    if (named === '' || (onPort !== undefined && onPort !== askedPort)) return false;
    const place = plainHost(named).replace(/^\*?\./, '');
    if (isIP(host) !== 0) return isInRange(host, place);
    return host === place || host.endsWith(`.${place}`);
  });
}

/** Without the brackets of an IPv6 address and the dot that may end a name. */
function plainHost(host: string): string {
  return host.toLowerCase().replace(/^\[|\]$|\.$/g, '');
}

/** Whether an IP address is another one (spelled in any way) or in a range of them. */
function isInRange(ip: string, range: string): boolean {
  const [start = '', bits] = range.split('/');
  const version = isIP(start);
  if (version === 0 || isIP(ip) !== version) return false;
  const longest = version === 4 ? 32 : 128;
  const width = Number(bits ?? longest);
  if (bits === '' || !Number.isInteger(width) || width < 0 || width > longest) return false;
  const family = version === 4 ? 'ipv4' : 'ipv6';
  const list = new BlockList();
  list.addSubnet(start, width, family);
  return list.check(ip, family);
}
