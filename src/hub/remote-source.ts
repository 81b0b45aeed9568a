/** Hub: a file that stays on the server and is read by ranges, so that its header can be seen before it is fetched. */
import { NetworkError } from '../errors.ts';
import { type ByteSource, checkRange } from '../formats/byte-source.ts';
import type { HubHttp } from './http.ts';
import type { Subject } from './refusal.ts';
import type { RunOptions } from './retrier.ts';
import { PassingFault } from './retry.ts';

/** Headers are read in small steps (a length, then that many bytes): one request of this size serves them all. */
const READ_AHEAD_BYTES = 1 << 18;

/** Makes no request yet; the first read does. Reads throw as `HubHttp.open` does, and `BadFileError` past the end. */
export class RemoteSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  readonly #subject: Subject;
  readonly #http: HubHttp;
  readonly #options: RunOptions;
  /** The range that was fetched last. */
  #window = { start: 0, bytes: new Uint8Array(0) };

  constructor(url: string, bytes: number, subject: Subject, http: HubHttp, options: RunOptions = {}) {
    this.name = url;
    this.size = bytes;
    this.#subject = subject;
    this.#http = http;
    this.#options = options;
  }

  async read(offset: number, target: Uint8Array): Promise<void> {
    checkRange(this, offset, target.length);
    let from = offset - this.#window.start;
    if (from < 0 || from + target.length > this.#window.bytes.length) {
      const length = Math.min(Math.max(target.length, READ_AHEAD_BYTES), this.size - offset);
      this.#window = { start: offset, bytes: await this.#fetch(offset, length) };
      from = 0;
    }
    target.set(this.#window.bytes.subarray(from, from + target.length));
  }

  [Symbol.dispose](): void {
    this.#window = { start: 0, bytes: new Uint8Array(0) };
  }

  async #fetch(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    return this.#http.run((signal) => this.#fetchOnce(offset, length, signal), this.#options);
  }

  async #fetchOnce(
    offset: number,
    length: number,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(length);
    if (length === 0) return bytes;
    const headers = { range: `bytes=${offset}-${offset + length - 1}`, 'accept-encoding': 'identity' };
    const answer = await this.#http.open({ url: this.name, subject: this.#subject, headers }, signal);
    // A server that ignores ranges sends the whole file, which can be used only when the range is its beginning.
    if (answer.status !== 206 && offset > 0) {
      await answer.discard();
      throw new NetworkError({
        code: 'no_ranges',
        message: `${this.name}: the server does not send parts of files (status ${answer.status} instead of 206)`,
        hint: 'Fetch the file first (`tracer load` without --dry-run).',
      });
    }
    let done = 0;
    for await (const chunk of answer.chunks()) {
      const part = chunk.subarray(0, length - done);
      bytes.set(part, done);
      done += part.length;
      if (done === length) return bytes;
    }
    throw new PassingFault(`${this.name} ended after ${done} of ${length} bytes of a range`);
  }
}
