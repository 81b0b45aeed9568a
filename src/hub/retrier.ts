/** Hub: how often something is tried: several times, or once with a deadline, and not at all while the Hub cannot be reached. */
import { NetworkError } from '../errors.ts';
import { type Notice, PassingFault, type RetryPolicy, withRetries } from './retry.ts';

/**
 * `many`: faults that may pass are tried again, since nothing can be done without an answer. `unless_away`: the same, but not
 * while the Hub is known to be away, for what can be done without. `one`: one try with a deadline, and none while the Hub is
 * known to be away, where the cache can be used instead.
 */
export type Tries = 'many' | 'unless_away' | 'one';

export interface RunOptions {
  readonly tries?: Tries | undefined;
  readonly signal?: AbortSignal | undefined;
  /** See `RetryOptions`. */
  readonly progress?: () => number;
}

/** Codes of errors after which the Hub counts as away: the next question would fail in the same way. */
const AWAY = ['network_failed', 'bad_certificate', 'proxy_refused'];

/** What one run knows of whether the Hub can be reached. */
export class Retrier {
  readonly #host: string;
  readonly #retry: RetryPolicy;
  readonly #onNotice: Notice;
  /** Why the Hub could not be reached, and until when that is taken to be so. */
  #away: { readonly error: NetworkError; readonly untilMs: number } | undefined;

  constructor(host: string, retry: RetryPolicy, onNotice: Notice) {
    this.#host = host;
    this.#retry = retry;
    this.#onNotice = onNotice;
  }

  /** Throws as `task` does, and `NetworkError` when it has been tried often enough. */
  async run<T>(
    task: (signal: AbortSignal | undefined) => Promise<T>,
    { tries = 'many', signal, progress }: RunOptions,
  ): Promise<T> {
    if (tries !== 'many' && this.#away && Date.now() < this.#away.untilMs) throw this.#away.error;
    const options = { onNotice: this.#onNotice, signal, ...(progress && { progress }) };
    try {
      const result = await (tries === 'one'
        ? this.#tryOnce(task, signal)
        : withRetries(() => task(signal), { ...options, policy: this.#retry }));
      this.#away = undefined;
      return result;
    } catch (error) {
      if (error instanceof NetworkError && AWAY.includes(error.code)) {
        this.#away = { error, untilMs: Date.now() + this.#retry.awayMs };
      }
      throw error;
    }
  }

  async #tryOnce<T>(
    task: (signal: AbortSignal | undefined) => Promise<T>,
    outer: AbortSignal | undefined,
  ): Promise<T> {
    const { shortTryMs } = this.#retry;
    const deadline = AbortSignal.timeout(shortTryMs);
    const signal = outer ? AbortSignal.any([outer, deadline]) : deadline;
    const guarded = async (): Promise<T> => {
      try {
        return await task(signal);
      } catch (error) {
        if (error !== deadline.reason) throw error;
        throw new PassingFault(`${this.#host} did not answer within ${shortTryMs / 1000} s`);
      }
    };
    return withRetries(guarded, {
      policy: { ...this.#retry, attempts: 1 },
      onNotice: this.#onNotice,
      signal,
    });
  }
}
