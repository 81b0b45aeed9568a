/** Mcp: the model is used by one call at a time; the others wait, and leave when they are cancelled. */

export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  /** The outcome of `work`, which starts when all earlier ones have ended. Throws the signal's reason where it is aborted while it waits. */
  async take<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const before = this.#last;
    let end = (): void => undefined;
    const own = new Promise<void>((resolve) => (end = resolve));
    // One that left early still waits for those before it.
    this.#last = before.then(() => own);
    let onAbort = (): void => undefined;
    const aborted = new Promise<never>((_, reject) => {
      onAbort = () => reject(signal.reason as Error);
      signal.addEventListener('abort', onAbort);
    });
    try {
      await Promise.race([before, aborted]);
      return await work();
    } finally {
      signal.removeEventListener('abort', onAbort);
      end();
    }
  }

  /** Resolves when no work is running or waiting. */
  async idle(): Promise<void> {
    await this.#last;
  }
}
