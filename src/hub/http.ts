/**
 * Hub: all requests are made here. Adds to `fetch` the token for the Hub's own origin, a time limit for silence, retries of
 * faults that may pass, a size limit for answers, and errors that name what was asked for.
 */
import { BadFileError, NetworkError } from '../errors.ts';
import { bodyChunks, msToSend } from './body-chunks.ts';
import type { HubEnvironment } from './environment.ts';
import { requireNameServers } from './name-servers.ts';
import { badRedirect, MOST_REDIRECTS, redirectOf } from './redirect.ts';
import type { HubRequest } from './request.ts';
import { refusalError, type Subject } from './refusal.ts';
import { Retrier, type RunOptions } from './retrier.ts';
import { DEFAULT_RETRY, type Notice, parseRetryAfter, PassingFault, type RetryPolicy } from './retry.ts';
import { StallGuard } from './stall-guard.ts';
import type { AccessToken } from './token.ts';
import { Transport } from './transport.ts';
import { networkFault, proxyRefusal, throughProxy } from './wire-faults.ts';

/** An answer whose body has not been read yet. Loop over `chunks`, or `discard` it: either frees the connection. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** Etag that the Hub itself gave for the content, without quotes; undefined when only another host answered. */
  readonly hubEtag: string | undefined;
  readonly chunks: () => AsyncGenerator<Uint8Array, void, undefined>;
  readonly discard: () => Promise<void>;
}

export interface WholeAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Buffer;
}

/** Limit for a description or listing. A page of a listing has some 300 KB, the description of a large repository a few MB. */
const LARGEST_ANSWER_BYTES = 64 * 2 ** 20;

export class HubHttp {
  readonly environment: HubEnvironment;
  readonly onNotice: Notice;
  readonly #transport: Transport;
  readonly #retrier: Retrier;
  #token: { readonly found: AccessToken | undefined } | undefined;

  constructor(
    environment: HubEnvironment,
    retry: Partial<RetryPolicy> = {},
    onNotice: Notice = () => undefined,
  ) {
    this.environment = environment;
    this.onNotice = onNotice;
    this.#retrier = new Retrier(new URL(environment.endpoint).host, { ...DEFAULT_RETRY, ...retry }, onNotice);
    this.#transport = new Transport(environment.proxyFor);
  }

  /** Runs a task that makes requests, as often as `options.tries` says. Throws as `Retrier.run` does. */
  async run<T>(task: (signal: AbortSignal | undefined) => Promise<T>, options: RunOptions = {}): Promise<T> {
    if (options.tries !== 'one') return this.#retrier.run(task, options);
    const { endpoint } = this.environment;
    return this.#retrier.run(async (signal) => {
      const { hostname } = new URL(this.#transport.proxyFor(endpoint)?.url ?? endpoint);
      await requireNameServers(hostname, signal);
      return await task(signal);
    }, options);
  }

  /**
   * One try. Throws `PassingFault` where another may succeed, `NotFoundError` for 401, 403 and 404,
   * `NetworkError` offline and for what will not get better, and the signal's reason after an abort.
   */
  async open(request: HubRequest, signal?: AbortSignal): Promise<Answer> {
    if (this.environment.offline) throw offlineError(request.subject);
    const guard = new StallGuard(this.environment.stallMs + msToSend(bytesOf(request)), signal);
    let url = request.url;
    const fault = (error: unknown): unknown =>
      networkFault(error, url, this.#transport.proxyFor(url), guard, signal);
    try {
      let hubEtag: string | undefined;
      let mayHaveToken = true;
      for (let hop = 0; hop <= MOST_REDIRECTS; hop++) {
        const init = this.#init(request, mayHaveToken && this.#isHub(url), guard.signal);
        const response = await guard.until(this.#transport.fetch(url, init));
        guard.watch();
        if (this.#isHub(url)) hubEtag = etagOf(response.headers) ?? hubEtag;
        const next = redirectOf(response, url, request);
        if (next === undefined) {
          await this.#check(response, url, request);
          return {
            status: response.status,
            headers: response.headers,
            hubEtag,
            chunks: () => bodyChunks(response, guard, fault),
            discard: async () => {
              guard[Symbol.dispose]();
              await response.body?.cancel();
            },
          };
        }
        await response.body?.cancel();
        // After a redirect to another host the token is not sent any more, not even to the Hub: that host chose the address.
        mayHaveToken &&= new URL(next).origin === new URL(url).origin;
        url = next;
      }
      throw badRedirect(request, `more than ${MOST_REDIRECTS} times`);
    } catch (error) {
      guard[Symbol.dispose]();
      throw fault(error);
    }
  }

  /** The whole body. Throws `BadFileError` for one that is larger than any answer should be. */
  async fetchBody(request: HubRequest, options: RunOptions = {}): Promise<WholeAnswer> {
    return this.run(async (signal) => {
      const { status, headers, chunks } = await this.open(request, signal);
      const parts: Uint8Array[] = [];
      let bytes = 0;
      for await (const chunk of chunks()) {
        bytes += chunk.length; // counted after decompression: a small compressed body can become a large one
        if (bytes > LARGEST_ANSWER_BYTES) throw tooLarge(request);
        parts.push(chunk);
      }
      return { headers, status, body: Buffer.concat(parts) };
    }, options);
  }

  #init(request: HubRequest, withToken: boolean, signal: AbortSignal): RequestInit {
    const authorization = withToken && this.#findToken()?.authorization();
    return {
      method: request.method ?? 'GET',
      headers: { 'user-agent': 'tracer', ...request.headers, ...(authorization && { authorization }) },
      signal,
      ...(request.body !== undefined && { body: request.body }),
    };
  }

  #isHub(url: string): boolean {
    return new URL(url).origin === new URL(this.environment.endpoint).origin;
  }

  #findToken(): AccessToken | undefined {
    this.#token ??= { found: this.environment.token() };
    return this.#token.found;
  }

  async #check(response: Response, url: string, request: HubRequest): Promise<void> {
    const { status, headers } = response;
    if (response.ok || request.accept?.includes(status)) return;
    await response.body?.cancel();
    const { host } = new URL(url);
    const proxy = this.#transport.proxyFor(url);
    if (proxy && status === 407) throw proxyRefusal(status, host, proxy);
    // A signed address of the content network expires after a while: asking the Hub again gives a fresh one.
    const expired = [401, 403].includes(status) && !this.#isHub(url);
    if (status === 408 || status === 429 || status >= 500 || expired) {
      const retryAfterMs = parseRetryAfter(headers.get('retry-after'));
      const about = `${nameOf(request.subject)}${throughProxy(proxy)}`;
      throw new PassingFault(`${host} answered ${status} for ${about}`, { retryAfterMs });
    }
    throw refusalError({
      status,
      address: shown(url),
      errorCode: headers.get('x-error-code') ?? undefined,
      errorMessage: headers.get('x-error-message') ?? undefined,
      subject: request.subject,
      token: this.#findToken(),
    });
  }
}

function bytesOf({ body }: HubRequest): number {
  return typeof body === 'string' ? body.length : (body?.size ?? 0);
}

function tooLarge({ url, subject }: HubRequest): BadFileError {
  return new BadFileError({
    code: 'answer_too_large',
    message: `the answer of ${shown(url)} (${nameOf(subject)}) has more than ${LARGEST_ANSWER_BYTES / 2 ** 20} MiB; a description of a repository is expected`,
    hint: 'If HF_ENDPOINT is set, check that it speaks the API of the Hugging Face Hub.',
  });
}

function etagOf(headers: Headers): string | undefined {
  const text = headers.get('x-linked-etag') ?? headers.get('etag');
  return text?.replace(/^W\//, '').replace(/^"|"$/g, '');
}

function offlineError(subject: Subject): NetworkError {
  return new NetworkError({
    code: 'offline',
    message: `${nameOf(subject)} is needed from the Hub, but the network is switched off (--offline or HF_HUB_OFFLINE)`,
    hint: 'Fetch it once without --offline; after that it is taken from the cache.',
  });
}

function nameOf({ repo, path, revision }: Subject): string {
  return `${repo}${path === undefined ? '' : `/${path}`}${revision === undefined ? '' : `@${revision}`}`;
}

/** An address fit for a message: without a query, which may carry a signature. */
function shown(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}
