/** Hub: closes a connection on which nothing arrives for too long, or when the user cancels. */

export class StallGuard implements Disposable {
  readonly #controller = new AbortController();
  readonly #stallMs: number;
  readonly #outer: AbortSignal | undefined;
  readonly #onOuterAbort = (): void => this.#controller.abort(this.#outer?.reason);
  #timer: NodeJS.Timeout | undefined;
  #stalled = false;

  constructor(stallMs: number, outer?: AbortSignal) {
    this.#stallMs = stallMs;
    this.#outer = outer;
    outer?.throwIfAborted();
    outer?.addEventListener('abort', this.#onOuterAbort);
    this.watch();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Whether it was the silence that ended the connection. */
  get stalled(): boolean {
    return this.#stalled;
  }

  /** Starts the time limit again. */
  watch(): void {
    this.rest();
    this.#timer = setTimeout(() => {
      this.#stalled = true;
      this.#controller.abort();
    }, this.#stallMs);
  }

  /** Stops the time limit while the server is not the one that is waited for. */
  rest(): void {
    clearTimeout(this.#timer);
  }

  /**
   * The outcome of `work`, or the signal's reason once the connection is given up. `fetch` has the signal too, but on a busy
   * machine its promise, or that of a body, sometimes never settles when the signal is aborted as an answer begins.
   */
  async until<T>(work: Promise<T>): Promise<T> {
    const { signal } = this;
    let onAbort = (): void => undefined;
    const givenUp = new Promise<never>((_, reject) => {
      onAbort = () => reject(signal.reason as Error);
      signal.addEventListener('abort', onAbort);
      if (signal.aborted) onAbort();
    });
    try {
      return await Promise.race([work, givenUp]);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  [Symbol.dispose](): void {
    this.rest();
    this.#outer?.removeEventListener('abort', this.#onOuterAbort);
  }
}
