/** Features, building: when the state of long work is written, so that writing costs a twentieth of the time at most. */

const SHORTEST_INTERVAL_MS = 500;
/** How much longer than a checkpoint took the next one is waited for. */
const INTERVAL_FACTOR = 20;

export class SaveInterval {
  readonly #write: () => Promise<void>;
  #savedMs = performance.now();
  #intervalMs = SHORTEST_INTERVAL_MS;

  constructor(write: () => Promise<void>) {
    this.#write = write;
  }

  async save(): Promise<void> {
    const startMs = performance.now();
    await this.#write();
    this.#savedMs = performance.now();
    this.#intervalMs = Math.max(SHORTEST_INTERVAL_MS, INTERVAL_FACTOR * (this.#savedMs - startMs));
  }

  async saveWhenDue(): Promise<void> {
    if (performance.now() - this.#savedMs > this.#intervalMs) await this.save();
  }
}
