/**
 * Hub: Node's own `fetch`, or undici's where the environment names a proxy: Node 20's has no proxies, and agents of undici
 * work only with the `fetch` of undici. It is loaded when it is needed (a tenth of a second).
 */
import type { Dispatcher } from 'undici';
import type { Proxy } from './proxy.ts';

/** Longest wait for a proxy to open a tunnel; the same as for any other silence (DEFAULT_DOWNLOAD_TIMEOUT of huggingface_hub). */
const TUNNEL_MS = 10_000;

export class Transport {
  readonly proxyFor: (url: string) => Proxy | undefined;
  /** By the address of the proxy; an agent keeps its connections for the next request. */
  readonly #agents = new Map<string, Dispatcher>();

  constructor(proxyFor: (url: string) => Proxy | undefined) {
    this.proxyFor = proxyFor;
  }

  /** One request, redirects not followed. Throws as `fetch` does, and `UsageError` for a variable that names no proxy. */
  async fetch(url: string, init: RequestInit): Promise<Response> {
    const proxy = this.proxyFor(url);
    if (!proxy) return fetch(url, { ...init, redirect: 'manual' });
    const undici = await import('undici');
    const agent = this.#agents.get(proxy.url) ?? agentOf(proxy, undici);
    this.#agents.set(proxy.url, agent);
    // Undici and Node declare the same standard type separately.
    const request = init as unknown as import('undici').RequestInit;
    return await undici.fetch(url, { ...request, redirect: 'manual', dispatcher: agent });
  }
}

function agentOf(
  { url, username, password }: Proxy,
  { Pool, ProxyAgent, Socks5ProxyAgent }: typeof import('undici'),
): Dispatcher {
  const hasCredentials = username !== '' || password !== '';
  if (url.startsWith('socks')) return new Socks5ProxyAgent(url, hasCredentials ? { username, password } : {});
  const token = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  return new ProxyAgent({
    uri: url,
    // Plain http is sent to the proxy without a tunnel, as other programs do: many proxies open tunnels to port 443 only.
    proxyTunnel: false,
    // An aborted request leaves its tunnel waiting: this limit ends it.
    clientFactory: (origin, options) => new Pool(origin, { ...options, headersTimeout: TUNNEL_MS }),
    ...(hasCredentials && { token }),
  });
}
