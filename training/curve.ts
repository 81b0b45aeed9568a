/** The curve of a run: one JSON object a step and line. A step that is done again after an interruption is there once. */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { writeFileAtomic } from '../src/formats/atomic.ts';
import type { LoopOptions, StepRecord } from '../src/training/loop.ts';

const LOG_EVERY_STEPS = 20;

/** Listeners of a phase that write its lines to `file`, and now and then a line for people. */
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
 * Removes the lines of a phase that come after its checkpoint, which a run writes only after them: those steps are done again.
 * A last line that was cut short is one of them.
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
