/** Trainer: the log of a set that was trained in parts: what happened in each, as further passes of one training. */
import { join } from 'node:path';
import type { FileWriter } from '../formats/atomic.ts';
import { LOG_FILE, type TrainEvent } from './log.ts';
import { eventLines, type TrainedPart } from './part.ts';
import type { Recipe } from './recipe.ts';
import type { TrainRecord } from './record.ts';

export interface JoinedTraining {
  readonly parts: readonly TrainedPart[];
  /** Of all layers together. */
  readonly recipe: Recipe;
  readonly record: TrainRecord;
}

export async function writeJoinedLog(
  writer: FileWriter,
  { parts, recipe, record }: JoinedTraining,
): Promise<void> {
  const write = (time: string, event: TrainEvent): Promise<void> =>
    writer.write(`${JSON.stringify({ time, ...event })}\n`);
  const passes = parts.flatMap((part) => part.passes);
  const now = new Date().toISOString();
  await write(now, { event: 'begin', recipe, passes, record });
  let n_before = 0;
  for (const part of parts) {
    for await (const { event, line } of eventLines(join(part.folder, LOG_FILE))) {
      if (event === 'begin' || event === 'end') continue;
      const fields = JSON.parse(line) as Record<string, unknown>;
      const pass = typeof fields['pass'] === 'number' && { pass: fields['pass'] + n_before };
      await writer.write(`${JSON.stringify({ ...fields, ...pass })}\n`);
    }
    n_before += part.passes.length;
  }
  const { n_tokens, endedEarly } = parts[0]!;
  await write(now, { event: 'end', n_tokens, ended_early: endedEarly });
}
