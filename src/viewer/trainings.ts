/**
 * Viewer: trainings of transcoder sets, by their logs (`train.jsonl`) in the served folders and the folders in them. A request names one
 * by its name in the list; no path is built from the text of a request.
 */
import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { BadFileError, NotFoundError } from '../errors.ts';
import { LOG_FILE, type TrainEvent } from '../trainer/log.ts';
import type { TrainingEntry, TrainingEvents } from './api.ts';
import { subfolders, unusedName } from './served-folders.ts';

/** Steps that are sent at most twice over: of more, every second one is left out until they fit. */
const MOST_STEPS = 1000;
/** Enough for the last line, which is short. */
const TAIL_BYTES = 4096;
const NEWLINE = 0x0a;

interface FoundTraining extends TrainingEntry {
  readonly file: string;
}

export class Trainings {
  readonly #folders: readonly string[];

  /** @param folders that are served, as real paths */
  constructor(folders: readonly string[]) {
    this.#folders = folders;
  }

  /** Those that are there now, the newest first. */
  async list(): Promise<TrainingEntry[]> {
    const found = await this.#find();
    return found
      .map(({ name, updated_ms, has_ended }) => ({ name, updated_ms, has_ended }))
      .sort((a, b) => b.updated_ms - a.updated_ms);
  }

  /**
   * What happened behind `from` bytes of a log. Throws `NotFoundError` for a name that is not in the list, `BadFileError` for a line that
   * is no JSON.
   */
  async events(name: string, from: number): Promise<TrainingEvents> {
    const training = (await this.#find()).find((one) => one.name === name);
    if (!training) {
      throw new NotFoundError({
        code: 'training_not_found',
        message: `there is no training '${name}' in the served folders`,
        hint: `A training is a folder with ${LOG_FILE}; list them with /api/trainings.`,
      });
    }
    const { file } = training;
    // A resumed run cuts off what its checkpoint does not have.
    const isRestarted = from > 0 && !(await endsLine(file, from));
    const start = isRestarted ? 0 : from;
    const { lines, next } = await thinnedLines(file, start);
    return { events: lines.map((line) => parse(file, line)), next, is_restarted: isRestarted };
  }

  async #find(): Promise<FoundTraining[]> {
    const found = new Map<string, FoundTraining>();
    for (const root of this.#folders) {
      for (const folder of [root, ...(await subfolders(root))]) {
        const file = path.join(folder, LOG_FILE);
        const stats = await stat(file).catch(() => undefined);
        if (!stats?.isFile()) continue;
        const name = unusedName(path.basename(folder), found);
        found.set(name, { name, file, updated_ms: stats.mtimeMs, has_ended: await hasEnded(file) });
      }
    }
    return [...found.values()];
  }
}

/** Whether a line ends at that byte. */
async function endsLine(file: string, at: number): Promise<boolean> {
  const handle = await open(file);
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(1), 0, 1, at - 1);
    return bytesRead === 1 && buffer[0] === NEWLINE;
  } finally {
    await handle.close();
  }
}

async function hasEnded(file: string): Promise<boolean> {
  const handle = await open(file);
  try {
    const { size } = await handle.stat();
    const start = Math.max(0, size - TAIL_BYTES);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(TAIL_BYTES), 0, TAIL_BYTES, start);
    return /"event":"end"[^\n]*\n$/.test(buffer.toString('utf8', 0, bytesRead));
  } finally {
    await handle.close();
  }
}

/** Whole lines from a byte on; of many steps some. */
async function thinnedLines(
  file: string,
  start: number,
): Promise<{ readonly lines: string[]; readonly next: number }> {
  let lines: string[] = [];
  let nSteps = 0;
  let stride = 1;
  let kept = 0;
  const { size } = await stat(file);
  let next = start;
  if (start >= size) return { lines, next };
  const isStep = (line: string): boolean => line.includes('"event":"step"');
  for await (const line of createInterface({ input: createReadStream(file, { start, end: size - 1 }) })) {
    const end = next + Buffer.byteLength(line) + 1;
    if (end > size) break; // still being written
    next = end;
    if (!isStep(line)) lines.push(line);
    else if (nSteps++ % stride === 0) {
      lines.push(line);
      kept += 1;
    }
    if (kept < 2 * MOST_STEPS) continue;
    stride *= 2;
    let n = 0;
    lines = lines.filter((one) => !isStep(one) || n++ % 2 === 0);
    kept = Math.ceil(kept / 2);
  }
  return { lines, next };
}

function parse(file: string, line: string): TrainEvent {
  try {
    return JSON.parse(line) as TrainEvent;
  } catch (cause) {
    throw new BadFileError({
      code: 'bad_log',
      message: `${file} has a line that is no JSON: ${line.slice(0, 80)}`,
      hint: 'Something else wrote into the log. The set beside it is not affected.',
      cause,
    });
  }
}
