/**
 * Trainer, the room's entry: trains the layers of a set, pass by pass, and writes each when it is done. A run that was interrupted at any
 * moment and resumed gives the same files as one that was not.
 */
import { join } from 'node:path';
import { NO_PROGRESS, readProgress } from './checkpoint.ts';
import { writeSetConfig } from './export.ts';
import { LOG_FILE, TrainLog } from './log.ts';
import { checkpointFile, type TrainOptions, type TrainOutcome } from './options.ts';
import { Run } from './run.ts';

/**
 * Goes on from the checkpoint in the folder, if there is one. Throws `BadFileError` for one of another run and for a loss that is not
 * finite, `ExhaustedError` for a full disk, the reason of the signal; in each case the last checkpoint stays.
 */
export async function trainSet(options: TrainOptions): Promise<TrainOutcome> {
  const { plan, folder, record, recipe } = options;
  const path = checkpointFile(folder);
  const resumed = await readProgress(path, record.identity);
  await using log = await TrainLog.open(join(folder, LOG_FILE), resumed?.logBytes ?? 0);
  const run = new Run(options, log, resumed ?? NO_PROGRESS);
  if (resumed) await log.write({ event: 'resume', pass: resumed.passes + 1, step: resumed.step });
  else await log.write({ event: 'begin', recipe, passes: plan.passes, record });
  await options.onBegin?.();
  for (let pass = run.progress.passes; pass < plan.passes.length; pass++) await run.pass(pass);
  await writeSetConfig(folder, record.modelName, recipe);
  const { endedEarly, n_tokens } = run.progress;
  await log.write({ event: 'end', n_tokens, ended_early: endedEarly });
  return {
    n_steps: run.n_steps,
    n_tokens,
    n_resumed_steps: resumed?.step ?? 0,
    heldOut: run.heldOut,
    endedEarly,
  };
}
