/** Page, state: what the events of a training's log add up to, as it is drawn. */
import type { TrainEvent } from '../../../src/viewer/api.ts';

type Of<Name extends TrainEvent['event']> = Extract<TrainEvent, { event: Name }>;
export type Step = Of<'step'>;
export type HeldOut = Of<'held_out'>;

export interface TrainingLog {
  readonly begin: Of<'begin'> | null;
  readonly steps: readonly Step[];
  readonly heldOut: readonly HeldOut[];
  /** Layers whose files are written, by pass. */
  readonly written: readonly Of<'written'>[];
  readonly nRevived: number;
  readonly hasEnded: boolean;
}

export const EMPTY_LOG: TrainingLog = {
  begin: null,
  steps: [],
  heldOut: [],
  written: [],
  nRevived: 0,
  hasEnded: false,
};

/** More steps than this make a curve no clearer: every second one is left out. */
const MOST_STEPS = 2000;

/** The log with further events. Steps that a resumed run does again take the place of those it had. */
export function withEvents(log: TrainingLog, events: readonly TrainEvent[]): TrainingLog {
  let { begin, steps, heldOut, written, nRevived, hasEnded } = log;
  steps = [...steps];
  for (const event of events) {
    switch (event.event) {
      case 'begin':
        begin = event;
        break;
      case 'resume':
        steps = steps.filter((one) => isBefore(one, event));
        hasEnded = false;
        break;
      case 'step':
        (steps as Step[]).push(event);
        break;
      case 'held_out':
        heldOut = [...heldOut, event];
        break;
      case 'written':
        written = [...written, event];
        break;
      case 'revive':
        nRevived += event.n;
        break;
      case 'end':
        hasEnded = true;
        break;
      case 'pass':
      case 'corpus_ended':
        break;
    }
  }
  while (steps.length > MOST_STEPS) steps = steps.filter((_, i) => i % 2 === 0 || i === steps.length - 1);
  return { begin, steps, heldOut, written, nRevived, hasEnded };
}

function isBefore(step: Step, { pass, step: at }: Of<'resume'>): boolean {
  return step.pass < pass || (step.pass === pass && step.step <= at);
}

/** Tokens of a step counted through all passes, so that passes lie side by side. */
export function tokensUntil({
  pass,
  tokens,
  tokens_total,
}: Pick<Step, 'pass' | 'tokens' | 'tokens_total'>): number {
  return (pass - 1) * tokens_total + tokens;
}

export interface Progress {
  /** Of all passes. */
  readonly share: number;
  readonly tokens: number;
  readonly tokensTotal: number;
  readonly tokensPerSecond: number;
  /** Null before anything was measured, and at the end. */
  readonly secondsLeft: number | null;
}

export function progressOf({ begin, steps, hasEnded }: TrainingLog): Progress | null {
  const last = steps.at(-1);
  if (last === undefined) return null;
  const nPasses = begin?.passes.length ?? last.pass;
  const tokens = tokensUntil(last);
  const tokensTotal = nPasses * last.tokens_total;
  const tokensPerSecond = last.tokens_per_second;
  return {
    share: hasEnded ? 1 : tokens / tokensTotal,
    tokens,
    tokensTotal,
    tokensPerSecond,
    secondsLeft: hasEnded || tokensPerSecond === 0 ? null : (tokensTotal - tokens) / tokensPerSecond,
  };
}
