/** Trainer: a set that was trained, as its folder tells of it: what it is of, and what happened, from its log. */
import { createReadStream, existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import * as v from 'valibot';
import { BadFileError, NotFoundError } from '../errors.ts';
import { jsonObject } from '../formats/json-object.ts';
import { parseJson } from '../formats/json.ts';
import { SET_CONFIG } from './export.ts';
import { LOG_FILE } from './log.ts';
import { checkpointFile, mergeFile } from './options.ts';
import type { Recipe } from './recipe.ts';
import { RecipeFields, RecordFields, type TrainRecord } from './record.ts';

export interface TrainedPart {
  readonly folder: string;
  readonly recipe: Recipe;
  readonly record: TrainRecord;
  readonly passes: readonly (readonly number[])[];
  /** Tokens that each layer was trained on, and whether the corpus had fewer than were wanted. */
  readonly n_tokens: number;
  readonly endedEarly: boolean;
}

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const Begin = jsonObject({ recipe: RecipeFields, passes: v.array(v.array(count)), record: RecordFields });
const End = jsonObject({ n_tokens: count, ended_early: v.boolean() });

/** Whether a set was trained, or joined, to its end in a folder. */
export function isFinished(folder: string): boolean {
  const isOver = [checkpointFile, mergeFile].every((of) => !existsSync(of(folder)));
  return isOver && existsSync(join(folder, SET_CONFIG));
}

/** Throws `NotFoundError` for a folder without a training, `BadFileError` for one that has not ended. */
export async function readPart(folder: string): Promise<TrainedPart> {
  const path = join(folder, LOG_FILE);
  if (!existsSync(path)) {
    throw new NotFoundError({
      code: 'no_training',
      message: `${folder} has no training: there is no ${LOG_FILE}`,
      hint: 'Name folders that `tracer train --output` wrote.',
    });
  }
  if (!isFinished(folder)) throw unfinished(folder);
  let begin: v.InferOutput<typeof Begin> | null = null;
  let end: v.InferOutput<typeof End> | null = null;
  for await (const { event, line, number } of eventLines(path)) {
    const name = `${path}, line ${number}`;
    if (event === 'begin') begin = parseJson(name, line, Begin);
    if (event === 'end') end = parseJson(name, line, End);
  }
  if (!begin || !end) throw unfinished(folder);
  const { n_tokens, ended_early: endedEarly } = end;
  return { folder, ...begin, n_tokens, endedEarly };
}

interface EventLine {
  readonly event: string;
  readonly line: string;
  /** Counts from 1. */
  readonly number: number;
}

/** Lines of a log, one at a time: a log of a long training is large. */
export async function* eventLines(path: string): AsyncGenerator<EventLine, void, undefined> {
  let number = 0;
  for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) {
    number += 1;
    const [, event] = EVENT.exec(line) ?? [];
    if (event === undefined) {
      throw new BadFileError({
        code: 'bad_log',
        message: `${path}, line ${number} is no event of a training: ${line.slice(0, 80)}`,
        hint: 'Something else wrote into the log. The set beside it is not affected.',
      });
    }
    yield { event, line, number };
  }
}

/** `TrainLog` puts the time in front and the event behind it. */
const EVENT = /^\{"time":"[^"]*","event":"([a-z_]+)"/;

function unfinished(folder: string): BadFileError {
  return new BadFileError({
    code: 'training_unfinished',
    message: `the training in ${folder} has not ended`,
    hint: 'Wait for it, or run its command again with --resume.',
  });
}
