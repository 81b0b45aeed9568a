/** Hub: how far a download is, how fast it goes and how long it will take. */

export interface DownloadProgress {
  /** Path inside the repository. */
  readonly file: string;
  readonly bytesDone: number;
  readonly bytesTotal: number;
  /** Over the last seconds; 0 until there is something to measure. */
  readonly bytesPerSecond: number;
  /** Undefined while the rate is unknown. */
  readonly secondsLeft: number | undefined;
}

const REPORT_EVERY_MS = 100;
const WINDOW_MS = 5_000;

/** Counts bytes of one file and reports at most ten times a second, and always at the end. */
export class ProgressMeter {
  readonly #file: string;
  readonly #bytesTotal: number;
  readonly #report: (progress: DownloadProgress) => void;
  #samples: { readonly atMs: number; readonly bytes: number }[] = [];
  #reportedAtMs = -Infinity;

  constructor(file: string, bytesTotal: number, report: (progress: DownloadProgress) => void) {
    this.#file = file;
    this.#bytesTotal = bytesTotal;
    this.#report = report;
  }

  /** Starts (again) at a number of bytes that were not received now and say nothing about the rate. */
  startAt(bytesDone: number, atMs = performance.now()): void {
    this.#samples = [{ atMs, bytes: bytesDone }];
    this.#emit(bytesDone, atMs);
  }

  advanceTo(bytesDone: number, atMs = performance.now()): void {
    if (atMs - this.#reportedAtMs < REPORT_EVERY_MS && bytesDone < this.#bytesTotal) return;
    this.#samples.push({ atMs, bytes: bytesDone });
    while (this.#samples.length > 2 && atMs - this.#samples[0]!.atMs > WINDOW_MS) this.#samples.shift();
    this.#emit(bytesDone, atMs);
  }

  #emit(bytesDone: number, atMs: number): void {
    this.#reportedAtMs = atMs;
    const first = this.#samples[0]!;
    const seconds = (atMs - first.atMs) / 1000;
    const bytesPerSecond = seconds > 0 ? (bytesDone - first.bytes) / seconds : 0;
    const secondsLeft = bytesPerSecond > 0 ? (this.#bytesTotal - bytesDone) / bytesPerSecond : undefined;
    this.#report({ file: this.#file, bytesDone, bytesTotal: this.#bytesTotal, bytesPerSecond, secondsLeft });
  }
}
