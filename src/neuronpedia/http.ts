/**
 * Neuronpedia: all requests are made here. Adds to `fetch` the key for the site's own origin, a pace, a time limit for silence,
 * retries of faults that may pass, a size limit for answers, and errors that name what was asked for.
 */
import { BadFileError, NetworkError } from '../errors.ts';
import { bodyChunks, msToSend } from '../hub/body-chunks.ts';
import type { Proxy } from '../hub/proxy.ts';
import { DEFAULT_RETRY, type Notice, PassingFault, type RetryPolicy, withRetries } from '../hub/retry.ts';
import { isLoopback, requireOnline } from '../hub/server-address.ts';
import { StallGuard } from '../hub/stall-guard.ts';
import { Transport } from '../hub/transport.ts';
import { networkFault } from '../hub/wire-faults.ts';
import type { NeuronpediaAddress } from './address.ts';
import { Pace } from './pace.ts';
import { reasonOf, refusalError } from './refusal.ts';

export interface NeuronpediaRequest {
  /** A whole address, or a path of the site such as `/api/graph/list`. */
  readonly url: string;
  readonly method?: 'GET' | 'POST' | 'PUT';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array<ArrayBuffer>;
  /** Statuses beyond 200 to 299 that the caller handles itself. */
  readonly accept?: readonly number[];
  /** The error for a refusal that this request knows more about; undefined: the usual one. */
  readonly refused?: ((status: number, reason: string) => Error | undefined) | undefined;
  /** How many times as long as usual the server may be silent. */
  readonly patience?: number | undefined;
}

/** An answer whose body has not been read yet. Loop over `chunks`, or `discard` it: either frees the connection. */
export interface NeuronpediaAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly chunks: () => AsyncGenerator<Uint8Array, void, undefined>;
  readonly discard: () => Promise<void>;
}

export interface NeuronpediaOptions {
  readonly proxyFor: (url: string) => Proxy | undefined;
  readonly onNotice: Notice;
  /** Requests to other machines are refused. */
  readonly offline?: boolean | undefined;
  readonly retry?: Partial<RetryPolicy> | undefined;
  /** A connection on which nothing arrives for this long is closed. */
  readonly stallMs?: number | undefined;
  /** From the start of one request to that of the next. */
  readonly msBetween?: number | undefined;
}

export interface TryOptions {
  /** Default: as often as the policy says. `one`: the caller tries again. */
  readonly tries?: 'many' | 'one' | undefined;
  readonly signal?: AbortSignal | undefined;
  /** See `RetryOptions`. */
  readonly progress?: () => number;
}

const DEFAULT_STALL_MS = 30_000;
/** The site counts requests by the hour; this keeps a long run below 4 a second. A site on this machine counts none. */
export const DEFAULT_MS_BETWEEN = 250;
/** Text of a refusal that is read. */
const LARGEST_REASON_BYTES = 64 * 2 ** 10;
const MOST_REDIRECTS = 5;
const REDIRECTS = [301, 302, 303, 307, 308];
const HINT =
  'Neuronpedia is busy or cannot be reached: check the connection, and start the same command again later.';

export class NeuronpediaHttp {
  readonly address: NeuronpediaAddress;
  readonly #options: NeuronpediaOptions;
  readonly #transport: Transport;
  readonly #pace: Pace;
  readonly #policy: RetryPolicy;

  constructor(address: NeuronpediaAddress, options: NeuronpediaOptions) {
    this.address = address;
    this.#options = options;
    this.#transport = new Transport(options.proxyFor);
    this.#pace = new Pace(options.msBetween ?? (address.isLocal ? 0 : DEFAULT_MS_BETWEEN));
    this.#policy = { ...DEFAULT_RETRY, ...options.retry };
  }

  /** Runs a task that makes requests until it succeeds. Throws `NetworkError` when passing faults do not pass. */
  async run<T>(task: () => Promise<T>, { tries = 'many', ...options }: TryOptions = {}): Promise<T> {
    if (tries === 'one') return task();
    return withRetries(task, {
      ...options,
      policy: this.#policy,
      onNotice: this.#options.onNotice,
      hint: HINT,
    });
  }

  /**
   * One try. Throws `PassingFault` where another may succeed, another error for what stays, and the signal's reason.
   * A redirect of a question without a body is followed, without the key to another origin; no other is.
   */
  async open(request: NeuronpediaRequest, signal?: AbortSignal): Promise<NeuronpediaAnswer> {
    let url = this.#absolute(request.url);
    const sendMs = msToSend(request.body?.length ?? 0);
    const stallMs = (request.patience ?? 1) * (this.#options.stallMs ?? DEFAULT_STALL_MS);
    let mayHaveKey = true;
    for (let hop = 0; ; hop++) {
      this.#requireAllowed(url);
      await this.#pace.turn(signal);
      const isSite = this.#isSite(url);
      const asked = url;
      const guard = new StallGuard(stallMs + sendMs, signal);
      const fault = (error: unknown): unknown =>
        networkFault(error, asked, this.#transport.proxyFor(asked), guard, signal);
      try {
        const response: Response = await guard.until(
          this.#transport.fetch(url, this.#init(request, isSite && mayHaveKey, guard.signal)),
        );
        guard.watch();
        const next: string | undefined =
          hop < MOST_REDIRECTS ? redirectOf(response, url, request) : undefined;
        if (next === undefined) {
          await this.#check(response, url, request, guard, fault);
          return {
            status: response.status,
            headers: response.headers,
            chunks: () => bodyChunks(response, guard, fault),
            discard: async () => {
              guard[Symbol.dispose]();
              await response.body?.cancel();
            },
          };
        }
        await response.body?.cancel();
        guard[Symbol.dispose]();
        mayHaveKey &&= new URL(next).origin === new URL(url).origin;
        url = next;
      } catch (error) {
        guard[Symbol.dispose]();
        throw fault(error);
      }
    }
  }

  /** The whole body. Throws as `run`, and `BadFileError` for more bytes than that. */
  async body(request: NeuronpediaRequest, largestBytes: number, options: TryOptions = {}): Promise<Buffer> {
    return this.run(async () => {
      const answer = await this.open(request, options.signal);
      const body = await upTo(answer.chunks(), largestBytes);
      if (body) return body;
      throw new BadFileError({
        code: 'answer_too_large',
        message: `${this.describe(request)} answered with more than ${largestBytes / 2 ** 20} MiB`,
        hint: 'Check that the address names what is meant.',
      });
    }, options);
  }

  /** How messages name a request: method, host and path, without a query, which may hold a signature. */
  describe({ method = 'GET', url }: Pick<NeuronpediaRequest, 'method' | 'url'>): string {
    const { host, pathname } = new URL(this.#absolute(url));
    return `${method} ${host}${pathname}`;
  }

  #absolute(url: string): string {
    return url.startsWith('/') ? `${this.address.baseUrl}${url}` : url;
  }

  #isSite(url: string): boolean {
    return new URL(url).origin === new URL(this.address.baseUrl).origin;
  }

  /** An address from an answer may not lead from the site to this machine, nor to one that anybody on the way can read. */
  #requireAllowed(url: string): void {
    const { protocol, hostname, host } = new URL(url);
    const isLocal = isLoopback(hostname);
    requireOnline({ host, isLocal }, this.#options.offline);
    if (this.#isSite(url) || (isLocal ? this.address.isLocal : protocol === 'https:')) return;
    throw new NetworkError({
      code: 'request_refused',
      message: `${host} is not asked: ${this.address.host} may name https addresses on other machines only`,
      hint: 'Check that --base-url names the site that is meant.',
    });
  }

  #init({ method, headers, body }: NeuronpediaRequest, withKey: boolean, signal: AbortSignal): RequestInit {
    const { key } = this.address;
    return {
      method: method ?? 'GET',
      headers: {
        'user-agent': 'tracer',
        ...headers,
        ...(withKey && key !== undefined && { 'x-api-key': key }),
      },
      signal,
      ...(body !== undefined && { body }),
    };
  }

  async #check(
    response: Response,
    url: string,
    request: NeuronpediaRequest,
    guard: StallGuard,
    fault: (error: unknown) => unknown,
  ): Promise<void> {
    const { status, headers } = response;
    if (response.ok || request.accept?.includes(status)) return;
    const body = await upTo(bodyChunks(response, guard, fault), LARGEST_REASON_BYTES);
    const reason = reasonOf(body?.toString('utf8') ?? '', this.address);
    const what = this.describe({ ...request, url });
    const refusal = { status, what, isSite: this.#isSite(url), reason, headers };
    const error = request.refused?.(status, reason) ?? refusalError(refusal, this.address);
    if (error instanceof PassingFault && error.retryAfterMs !== undefined) {
      this.#pace.hold(Math.min(error.retryAfterMs, this.#policy.longestRetryAfterMs));
    }
    throw error;
  }
}

/** Undefined for a body that is longer. Counted after decompression: a small compressed body can become a large one. */
export async function upTo(
  chunks: AsyncIterable<Uint8Array>,
  largestBytes: number,
): Promise<Buffer | undefined> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.length;
    if (bytes > largestBytes) return undefined;
    parts.push(chunk);
  }
  return Buffer.concat(parts);
}

function redirectOf(
  response: Response,
  from: string,
  { method = 'GET' }: NeuronpediaRequest,
): string | undefined {
  const location = REDIRECTS.includes(response.status) ? response.headers.get('location') : null;
  if (location === null || method !== 'GET' || !URL.canParse(location, from)) return undefined;
  const next = new URL(location, from);
  return /^https?:$/.test(next.protocol) ? next.href : undefined;
}
