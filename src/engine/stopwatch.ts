/** Engine: how long each phase took, in milliseconds. */
import { channel } from 'node:diagnostics_channel';

/** Says where phases begin and end, to whoever profiles the process (`bench/account.mjs`); nothing without a subscriber. */
const phaseChannel = channel('tracer.phase');

export interface PhaseEvent {
  readonly phase: string;
  readonly at: 'start' | 'end';
}

export class Stopwatch {
  readonly timings_ms: Record<string, number> = {};

  /** Runs a phase and adds its time under its name, also when it throws. */
  async time<T>(phase: string, work: () => Promise<T>): Promise<T> {
    const end = this.start(phase);
    try {
      return await work();
    } finally {
      end();
    }
  }

  /** Phases that follow each other: each `next` ends the one before. Their times are added when they end. */
  phases(first: string): { next(phase: string): void; end(): void } {
    let end = this.start(first);
    return {
      next: (phase) => {
        end();
        end = this.start(phase);
      },
      end: () => end(),
    };
  }

  private start(phase: string): () => void {
    publish({ phase, at: 'start' });
    const startMs = performance.now();
    return () => {
      this.timings_ms[phase] = (this.timings_ms[phase] ?? 0) + (performance.now() - startMs);
      publish({ phase, at: 'end' });
    };
  }
}

function publish(event: PhaseEvent): void {
  phaseChannel.publish(event);
}

/** The most memory this process held so far, in bytes. */
export function peakRssBytes(): number {
  const KIB = 1024; // the unit of getrusage(2) on Linux, which Node passes on everywhere
  return process.resourceUsage().maxRSS * KIB;
}
