/**
 * Hub: requests over Node's own `fetch`. Adds what it lacks: the token for the Hub's host only (redirects to a content
 * network go without), an end to silence, tries again where a fault may pass, and errors that name what was asked for.
 */
import { NetworkError, TracerError } from '../errors.ts';
import type { HubEnvironment } from './environment.ts';
import { refusalError, type Subject } from './refusal.ts';
import {
  DEFAULT_RETRY,
  type Notice,
  parseRetryAfter,
  PassingFault,
  type RetryPolicy,
  withRetries,
} from './retry.ts';
import { StallGuard } from './stall-guard.ts';
import type { AccessToken } from './token.ts';

export interface HubRequest {
  readonly url: string;
  readonly subject: Subject;
  readonly method?: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Statuses beyond 200 to 299 that the caller handles itself. */
  readonly accept?: readonly number[];
}

/** An answer whose body has not been read yet. Loop over `chunks`, or `discard` it: either frees the connection. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** Etag that the Hub itself gave for the content, without quotes; undefined when only another host answered. */
  readonly hubEtag: string | undefined;
  readonly chunks: () => AsyncGenerator<Uint8Array, void, undefined>;
  readonly discard: () => Promise<void>;
}

const MOST_REDIRECTS = 10;
const REDIRECTS = [301, 302, 303, 307, 308];
const CERTIFICATE_FAULT = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ERR_TLS/;

export class HubHttp {
  readonly environment: HubEnvironment;
  readonly retry: RetryPolicy;
  readonly onNotice: Notice;
  #token: { readonly found: AccessToken | undefined } | undefined;

  constructor(
    environment: HubEnvironment,
    retry: Partial<RetryPolicy> = {},
    onNotice: Notice = () => undefined,
  ) {
    this.environment = environment;
    this.retry = { ...DEFAULT_RETRY, ...retry };
    this.onNotice = onNotice;
  }

  /**
   * One try. Throws `PassingFault` where another may succeed, `NotFoundError` for 401, 403 and 404,
   * `NetworkError` offline and for what will not get better, and the signal's reason after an abort.
   */
  async open(request: HubRequest, signal?: AbortSignal): Promise<Answer> {
    if (this.environment.offline) throw offlineError(request.subject);
    const guard = new StallGuard(this.environment.stallMs, signal);
    let url = request.url;
    try {
      let hubEtag: string | undefined;
      for (let hop = 0; hop <= MOST_REDIRECTS; hop++) {
        const response = await guard.until(fetch(url, this.#init(url, request, guard.signal)));
        guard.watch();
        if (this.#isHub(url)) hubEtag = etagOf(response.headers) ?? hubEtag;
        const location = REDIRECTS.includes(response.status) ? response.headers.get('location') : null;
        if (location === null) {
          await this.#check(response, url, request);
          return {
            status: response.status,
            headers: response.headers,
            hubEtag,
            chunks: () => read(response, url, guard, signal),
            discard: async () => {
              guard[Symbol.dispose]();
              await response.body?.cancel();
            },
          };
        }
        await response.body?.cancel();
        url = new URL(location, url).href;
      }
      throw new NetworkError({
        code: 'request_refused',
        message: `${shown(request.url)} was redirected more than ${MOST_REDIRECTS} times`,
        hint: 'If HF_ENDPOINT is set, check that it speaks the API of the Hugging Face Hub.',
      });
    } catch (error) {
      guard[Symbol.dispose]();
      throw networkFault(error, url, guard, signal);
    }
  }

  /** The whole body, with tries. */
  async fetchBody(
    request: HubRequest,
    signal?: AbortSignal,
  ): Promise<{ headers: Headers; status: number; body: Buffer }> {
    const { retry: policy, onNotice } = this;
    return withRetries(
      async () => {
        const answer = await this.open(request, signal);
        const chunks: Uint8Array[] = [];
        for await (const chunk of answer.chunks()) chunks.push(chunk);
        return { headers: answer.headers, status: answer.status, body: Buffer.concat(chunks) };
      },
      { policy, onNotice, signal },
    );
  }

  #init(url: string, request: HubRequest, signal: AbortSignal): RequestInit {
    const authorization = this.#isHub(url) && this.#findToken()?.authorization();
    return {
      method: request.method ?? 'GET',
      headers: { 'user-agent': 'tracer', ...request.headers, ...(authorization && { authorization }) },
      redirect: 'manual',
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
    // A signed address of the content network expires after a while: asking the Hub again gives a fresh one.
    const expired = [401, 403].includes(status) && !this.#isHub(url);
    if (status === 408 || status === 429 || status >= 500 || expired) {
      const retryAfterMs = parseRetryAfter(headers.get('retry-after'));
      throw new PassingFault(`${new URL(url).host} answered ${status} for ${nameOf(request.subject)}`, {
        retryAfterMs,
      });
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

async function* read(
  response: Response,
  url: string,
  guard: StallGuard,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = (response.body as ReadableStream<Uint8Array> | null)?.getReader();
  try {
    for (;;) {
      guard.watch();
      const step = await (reader && guard.until(reader.read()))?.catch((error: unknown) => {
        throw networkFault(error, url, guard, signal);
      });
      guard.rest(); // from here on it is the reader who is slow
      if (!step || step.done) return;
      yield step.value;
    }
  } finally {
    guard[Symbol.dispose]();
    await reader?.cancel().catch(() => undefined); // of no interest: the connection is being given up
  }
}

/** What went wrong on the wire: passing, final, or the user's own wish. Errors that are none of these come back as they were. */
function networkFault(
  error: unknown,
  url: string,
  guard: StallGuard,
  signal: AbortSignal | undefined,
): unknown {
  if (signal?.aborted) return signal.reason;
  if (error instanceof TracerError || error instanceof PassingFault) return error;
  const host = new URL(url).host;
  if (guard.stalled) return new PassingFault(`${host} sent nothing for too long`, { cause: error });
  // `fetch` reports every fault of the wire as a TypeError whose cause tells more; without a cause it is a bug here.
  const cause = typeof error === 'object' && error !== null && 'cause' in error ? error.cause : undefined;
  if (cause === undefined) return error;
  const code = faultCode(cause) ?? 'no reason given';
  if (!CERTIFICATE_FAULT.test(code)) {
    return new PassingFault(`the connection to ${host} failed (${code})`, { cause: error });
  }
  return new NetworkError({
    code: 'bad_certificate',
    message: `the certificate of ${host} is not trusted (${code})`,
    hint: 'Behind a company proxy, name its certificate in NODE_EXTRA_CA_CERTS.',
    cause: error,
  });
}

/** `ECONNREFUSED`, `UND_ERR_SOCKET`: what the system or `fetch` calls a fault. */
function faultCode(cause: unknown): string | undefined {
  return typeof cause === 'object' && cause !== null && 'code' in cause && typeof cause.code === 'string'
    ? cause.code
    : undefined;
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
