/** The curve of a run: a line of JSON with losses and measures for each step. Steps that are done again have one line. */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { writeFileAtomic } from '../src/formats/atomic.ts';
import type { LoopOptions, StepRecord } from '../src/training/loop.ts';

const LOG_EVERY_STEPS = 20;

/** Listeners of a phase that write its lines to `file`, and a short line to the terminal every `LOG_EVERY_STEPS` steps. */
export function curve(file: string, phase: string): Pick<LoopOptions, 'onStep' | 'onBegin'> {
  return {
    onBegin: (done) => removeLater(file, phase, done),
    onStep(record) {
      appendFileSync(file, `${JSON.stringify({ phase, ...record })}\n`);
      if (record.step % LOG_EVERY_STEPS === 0 || record.step === record.steps) report(phase, record);
    },
  };
}

function report(phase: string, { step, steps, loss, seconds, measures }: StepRecord): void {
  const measured = Object.entries(measures).map(([name, value]) => `${name} ${value.toFixed(3)}`);
  const parts = [`loss ${loss.toFixed(3)}`, ...measured, `${seconds.toFixed(2)} s a step`];
  console.log(`${phase} ${step}/${steps}: ${parts.join(', ')}`);
}

/**
 * Removes the lines of a phase for steps after its checkpoint: those steps are done again. A last line that was cut short is
 * one of them, since a run writes a checkpoint only after the lines of its steps.
 */
async function removeLater(file: string, phase: string, done: number): Promise<void> {
  if (!existsSync(file)) return;
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
  const kept = lines.filter((line) => {
    const record = JSON.parse(line) as { phase: string; step: number };
    return record.phase !== phase || record.step <= done;
  });
  await writeFileAtomic(file, kept.map((line) => `${line}\n`).join(''));
}
