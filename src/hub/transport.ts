/**
 * Hub: `fetch` as Node has it, or through a proxy where the environment names one. Node 20 knows of no proxies, so that then
 * undici is loaded (a tenth of a second), whose agents go with its own `fetch` alone.
 */
import type { Dispatcher } from 'undici';
import type { Proxy } from './proxy.ts';

/** Longest wait for a proxy to open a tunnel; as long as any other silence (DEFAULT_DOWNLOAD_TIMEOUT of huggingface_hub). */
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
    // The same standard in two declarations: those of undici and those that come with Node.
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
    // http goes to the proxy as it is, as from other programs: many proxies open tunnels to port 443 only.
    proxyTunnel: false,
    // A request that is aborted leaves its tunnel waiting: this ends it.
    clientFactory: (origin, options) => new Pool(origin, { ...options, headersTimeout: TUNNEL_MS }),
    ...(hasCredentials && { token }),
  });
}
