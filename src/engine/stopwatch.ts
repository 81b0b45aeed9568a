/** Engine: how long each phase took, in milliseconds. */
export class Stopwatch {
  readonly timings_ms: Record<string, number> = {};

  /** Runs a phase and adds its time under its name, also when it throws. */
  async time<T>(phase: string, work: () => Promise<T>): Promise<T> {
    const startMs = performance.now();
    try {
      return await work();
    } finally {
      this.timings_ms[phase] = (this.timings_ms[phase] ?? 0) + (performance.now() - startMs);
    }
  }
}

/** The most memory this process held so far, in bytes. */
export function peakRssBytes(): number {
  const KIB = 1024; // the unit of getrusage(2) on Linux, which Node passes on everywhere
  return process.resourceUsage().maxRSS * KIB;
}
