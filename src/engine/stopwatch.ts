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

  /** Phases that follow each other: each `next` ends the one before. Their times are added when they end. */
  phases(first: string): { next(phase: string): void; end(): void } {
    let current = first;
    let startMs = performance.now();
    const end = (): void => {
      const nowMs = performance.now();
      this.timings_ms[current] = (this.timings_ms[current] ?? 0) + (nowMs - startMs);
      startMs = nowMs;
    };
    return {
      next: (phase) => {
        end();
        current = phase;
      },
      end,
    };
  }
}

/** The most memory this process held so far, in bytes. */
export function peakRssBytes(): number {
  const KIB = 1024; // the unit of getrusage(2) on Linux, which Node passes on everywhere
  return process.resourceUsage().maxRSS * KIB;
}
