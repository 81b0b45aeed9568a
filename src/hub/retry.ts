/** Hub: which faults of the network pass by themselves, and how long to wait before trying again. */
import { setTimeout as wait } from 'node:timers/promises';
import { NetworkError } from '../errors.ts';

export interface RetryPolicy {
  /** Tries in a row that bring nothing before giving up. */
  readonly attempts: number;
  /** Wait after the first fault; it doubles with each further one. */
  readonly firstWaitMs: number;
  readonly longestWaitMs: number;
  /** When a server asks for a longer wait than this, an error says so. */
  readonly longestRetryAfterMs: number;
  /** How long an answer may take when the cache can be used instead. */
  readonly shortTryMs: number;
  /** How long a Hub that could not be reached is not asked again in such a case. */
  readonly awayMs: number;
}

export const DEFAULT_RETRY: RetryPolicy = {
  attempts: 5,
  firstWaitMs: 500,
  longestWaitMs: 20_000,
  longestRetryAfterMs: 300_000, // the Hub counts its request limits in windows of five minutes
  shortTryMs: 4_000,
  awayMs: 60_000,
};

/** Receives one line for a person: what went wrong and what is done about it. */
export type Notice = (text: string) => void;

/** A fault that may be gone at the next try: a broken connection, a stall, 429, 5xx. */
export class PassingFault extends Error {
  /** How long the server asked to wait, if it did. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, details: { cause?: unknown; retryAfterMs?: number | undefined } = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'PassingFault';
    this.retryAfterMs = details.retryAfterMs;
  }
}

export interface RetryOptions {
  readonly policy: RetryPolicy;
  readonly onNotice: Notice;
  readonly signal?: AbortSignal | undefined;
  /** A number that grows with progress, such as bytes received: when it grows, the count of tries starts again. */
  readonly progress?: () => number;
  /** The next step for a person when passing faults do not pass. Default: the one for the Hub. */
  readonly hint?: string;
}

/** Runs `task` until it succeeds. Throws `NetworkError` when passing faults do not pass; other errors at once. */
export async function withRetries<T>(task: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { policy, onNotice, signal, progress = () => 0 } = options;
  let furthest = progress();
  for (let tries = 1; ; tries++) {
    try {
      return await task();
    } catch (error) {
      if (!(error instanceof PassingFault)) throw error;
      if (progress() > furthest) {
        furthest = progress();
        tries = 1;
      }
      const waitMs = error.retryAfterMs ?? backOffMs(policy, tries);
      if (tries >= policy.attempts || waitMs > policy.longestRetryAfterMs)
        throw giveUp(error, tries, options.hint);
      onNotice(`${error.message}; trying again in ${(waitMs / 1000).toFixed(1)} s`);
      await sleep(waitMs, signal);
    }
  }
}

/** Doubling waits, shortened at random by up to half, so that many clients do not retry at the same moment. */
function backOffMs(policy: RetryPolicy, tries: number): number {
  const waitMs = Math.min(policy.longestWaitMs, policy.firstWaitMs * 2 ** (tries - 1));
  return waitMs * (1 - Math.random() / 2);
}

/** `Retry-After`: seconds or a date. Undefined when absent or not understood. */
export function parseRetryAfter(text: string | null, nowMs = Date.now()): number | undefined {
  if (text === null) return undefined;
  if (/^\d+$/.test(text.trim())) return Number(text) * 1000;
  const dateMs = Date.parse(text);
  return Number.isNaN(dateMs) ? undefined : Math.max(0, dateMs - nowMs);
}

/** Waits, and throws the signal's reason as soon as it is aborted. */
export async function sleep(waitMs: number, signal?: AbortSignal): Promise<void> {
  try {
    await wait(waitMs, undefined, signal && { signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}

const HUB_HINT =
  'Check the connection (and HF_ENDPOINT, if it is set) and start again: what was transferred so far is kept. With --offline only the cache is used.';

function giveUp(fault: PassingFault, tries: number, hint = HUB_HINT): NetworkError {
  const patience =
    fault.retryAfterMs === undefined
      ? ''
      : ` (the server asks to wait ${Math.ceil(fault.retryAfterMs / 1000)} s)`;
  return new NetworkError({
    code: 'network_failed',
    message: `${fault.message}; gave up after ${tries} ${tries === 1 ? 'try' : 'tries'}${patience}`,
    hint,
    cause: fault,
  });
}
