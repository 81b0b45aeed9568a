/** Progress, notes and warnings on stderr: a spinner on a terminal, otherwise one line a phase. */
import type { EngineEvent, ProgressEvent } from '../engine/request.ts';
import { formatBytes, formatCount, formatDuration } from './numbers.ts';
import type { Screen } from './screen.ts';
import { printable, printableLines } from './text.ts';

/** `quiet`: errors only; `verbose`: also details for finding faults. */
export type Loudness = 'quiet' | 'normal' | 'verbose';

const MS_PER_SECOND = 1000;
const SECONDS_PER_MINUTE = 60;
/** Shortest time from which a rate is computed: those of shorter times vary too much. */
const SHORTEST_MEASURED_MS = 500;

export interface Reporter {
  report(event: EngineEvent): void;
  /** Removes the spinner before other output. */
  stop(): void;
}

/** The line on a terminal that is rewritten. */
interface Spinner {
  show(text: string): void;
  /** Writes a line that stays, above the spinner. */
  writeAbove(line: string): void;
  stop(): void;
}

async function startSpinner(stream: NodeJS.WriteStream): Promise<Spinner> {
  const { default: ora } = await import('ora');
  // discardStdin would read the standard input, which `-` needs, and intercept Ctrl-C.
  const spinner = ora({ stream, discardStdin: false });
  return {
    show(text) {
      spinner.text = text;
      if (!spinner.isSpinning) spinner.start();
    },
    writeAbove(line) {
      if (spinner.isSpinning) spinner.clear();
      stream.write(`${line}\n`);
    },
    stop() {
      if (spinner.isSpinning) spinner.stop();
    },
  };
}

/** First report of a phase, from which its rate is computed. */
interface PhaseStart {
  readonly phase: string;
  readonly done: number;
  readonly atMs: number;
}

/** Parts of `1.20 GiB of 4.87 GiB, 230 MiB/s, 17 s left`. */
export function describeAmount(
  event: ProgressEvent,
  start: Omit<PhaseStart, 'phase'>,
  nowMs: number,
): string {
  const { done, total, unit } = event;
  if (done === undefined) return '';
  const amount = unit === 'bytes' ? formatBytes : formatCount;
  const parts = [total === undefined ? amount(done) : `${amount(done)} of ${amount(total)}`];
  const elapsedMs = nowMs - start.atMs;
  const measured =
    elapsedMs >= SHORTEST_MEASURED_MS && done > start.done
      ? ((done - start.done) / elapsedMs) * MS_PER_SECOND
      : undefined;
  const rate = (unit === 'bytes' ? event.bytesPerSecond : undefined) ?? measured;
  if (rate !== undefined && unit === 'bytes') parts.push(`${formatBytes(Math.round(rate))}/s`);
  const secondsLeft =
    event.secondsLeft ??
    (rate !== undefined && rate > 0 && total !== undefined ? (total - done) / rate : undefined);
  if (secondsLeft !== undefined && secondsLeft > 0) {
    parts.push(`${formatSecondsLeft(Math.ceil(secondsLeft))} left`);
  }
  return parts.join(', ');
}

/** Whole seconds, since the estimate is not more exact. */
function formatSecondsLeft(seconds: number): string {
  return seconds < SECONDS_PER_MINUTE ? `${seconds} s` : formatDuration(seconds * MS_PER_SECOND);
}

export async function makeReporter(
  stream: NodeJS.WriteStream,
  screen: Screen,
  loudness: Loudness,
): Promise<Reporter> {
  const quiet = loudness === 'quiet';
  const spinner = screen.interactive && !quiet ? await startSpinner(stream) : undefined;
  const announced = new Set<string>();
  let start: PhaseStart | undefined;

  function writeLine(line: string): void {
    if (spinner) spinner.writeAbove(line);
    else stream.write(`${line}\n`);
  }

  function showProgress(event: ProgressEvent): void {
    const nowMs = performance.now();
    if (start?.phase !== event.phase) start = { phase: event.phase, done: event.done ?? 0, atMs: nowMs };
    const message = printable(event.message);
    if (spinner) {
      const amount = describeAmount(event, start, nowMs);
      spinner.show(amount === '' ? message : `${message}  ${screen.paint.dim(amount)}`);
    } else if (!announced.has(event.phase)) {
      announced.add(event.phase);
      const size =
        event.total !== undefined && event.unit === 'bytes' ? ` (${formatBytes(event.total)})` : '';
      writeLine(`${message}${size}`);
    }
  }

  return {
    report(event) {
      if (quiet) return;
      switch (event.kind) {
        case 'progress':
          return showProgress(event);
        case 'warning':
          return writeLine(`${screen.paint.yellow('warning:')} ${printableLines(event.message)}`);
        case 'note':
          return writeLine(screen.paint.dim(`note: ${printableLines(event.message)}`));
      }
    },
    stop() {
      spinner?.stop();
    },
  };
}
