/** Neuronpedia: requests start no more often than the site can bear, and none while it asks to wait. */
import { sleep } from '../hub/retry.ts';

export class Pace {
  readonly #msBetween: number;
  #nextMs = 0;

  constructor(msBetween: number) {
    this.#msBetween = msBetween;
  }

  /** Resolves when the next request may start. Throws the signal's reason. */
  async turn(signal: AbortSignal | undefined): Promise<void> {
    for (;;) {
      signal?.throwIfAborted();
      const now = Date.now();
      if (now >= this.#nextMs) {
        this.#nextMs = now + this.#msBetween;
        return;
      }
      await sleep(this.#nextMs - now, signal);
    }
  }

  /** No request starts before so many milliseconds have passed. */
  hold(ms: number): void {
    this.#nextMs = Math.max(this.#nextMs, Date.now() + ms);
  }
}
