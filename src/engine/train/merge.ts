/** Engine, verb `train merge`: the parts of a set, trained by processes that knew nothing of each other, as one set. */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { readFile, rm, stat } from 'node:fs/promises';
import { join as joinPath, resolve } from 'node:path';
import { folderState } from '../../backend/disk.ts';
import { BadFileError, ExhaustedError, UsageError } from '../../errors.ts';
import { checkWritable, writeFileAtomic } from '../../formats/atomic.ts';
import { acquireLock } from '../../formats/lock.ts';
import { openSafetensors } from '../../formats/safetensors.ts';
import { layerFiles, SET_CONFIG, writeSetConfig } from '../../trainer/export.ts';
import { writeJoinedLog } from '../../trainer/joined-log.ts';
import { LOG_FILE } from '../../trainer/log.ts';
import { mergeFile, STATE_FOLDER } from '../../trainer/options.ts';
import { readPart } from '../../trainer/part.ts';
import type { Recipe } from '../../trainer/recipe.ts';
import type { EvaluateResult } from '../evaluate/types.ts';
import type { CommonOptions } from '../request.ts';
import type { SavedFileResult } from '../result.ts';
import { peakRssBytes, Stopwatch } from '../stopwatch.ts';
import { writtenFile } from '../written-file.ts';
import { CARD_FILE, writeCard } from './card.ts';
import { evaluateOn, HELD_OUT_FILE } from './held-out.ts';
import { join, type Joined } from './join.ts';

export interface MergeRequest extends Omit<CommonOptions, 'transcoders'> {
  /** Folders that `train` wrote. */
  readonly parts: readonly string[];
  /** Folder of the set. */
  readonly output: string;
  /** False: the set is not measured, and its card says so. */
  readonly evaluate?: boolean | undefined;
}

export interface MergeResult {
  readonly model: string;
  readonly output: string;
  /** By their lowest layer. */
  readonly parts: readonly { readonly folder: string; readonly layers: readonly number[] }[];
  readonly recipe: Recipe;
  /** Layers of the whole set that no part has. */
  readonly missing_layers: readonly number[];
  /** The table of `tracer evaluate` on held-out documents; null where there are none, or it was not wanted. */
  readonly evaluation: EvaluateResult | null;
  readonly files: readonly SavedFileResult[];
  readonly timings_ms: Readonly<Record<string, number>>;
  readonly peak_rss_bytes: number;
}

/**
 * Joins parts, measures the set as `train` does at its end, and writes its card. Parts stay as they are. An interrupted call leaves no set,
 * and is continued by the same call. Throws what `readPart` and `join` throw, `UsageError` for a folder with something else in it,
 * `BadFileError` for a damaged file, `ExhaustedError` for a full disk.
 */
export async function mergeTraining(request: MergeRequest): Promise<MergeResult> {
  const { output, signal } = request;
  if (request.parts.length === 0) {
    throw new UsageError({
      code: 'no_parts',
      message: 'no part is named',
      hint: 'Name the folders that `tracer train --shard` wrote.',
    });
  }
  await checkWritable(joinPath(output, SET_CONFIG));
  const stopwatch = new Stopwatch();
  const parts = [];
  for (const folder of request.parts) parts.push(await readPart(folder));
  const joined = join(parts, request);
  for (const message of joined.notes) request.onProgress?.({ kind: 'warning', message });
  const hasHeldOut = await checkHeldOut(joined);
  const state = mergeFile(output);
  const plan = planOf(joined);
  await refuseOther(output, state, plan);
  await using _lock = await acquireLock(joinPath(output, STATE_FOLDER, 'lock'), { signal });
  await writeFileAtomic(state, plan);
  await stopwatch.time('copy', () => copyFiles(request, joined, hasHeldOut));
  await writeSetConfig(output, joined.record.modelName, joined.recipe);
  const isEvaluated = hasHeldOut && (request.evaluate ?? true);
  const evaluation = isEvaluated
    ? await stopwatch.time('evaluate', () => evaluateOn(request, output, joined.record))
    : null;
  if (!hasHeldOut) {
    const message = 'The parts have no held-out documents: the set is not evaluated';
    request.onProgress?.({ kind: 'warning', message });
  }
  const { recipe, record, missing } = joined;
  const { n_tokens, endedEarly } = joined.parts[0]!;
  await writeCard(joinPath(output, CARD_FILE), { recipe, record, output, n_tokens, endedEarly, evaluation });
  await rm(joinPath(output, STATE_FOLDER), { recursive: true, force: true });
  return {
    model: record.modelName,
    output,
    parts: joined.parts.map((part) => ({ folder: part.folder, layers: part.recipe.layers })),
    recipe,
    missing_layers: missing,
    evaluation,
    files: await Promise.all(
      [SET_CONFIG, CARD_FILE, ...filesOf(recipe)].map((name) => writtenFile(joinPath(output, name))),
    ),
    timings_ms: stopwatch.timings_ms,
    peak_rss_bytes: peakRssBytes(),
  };
}

function filesOf({ kind, layers }: Recipe): string[] {
  return layers.flatMap((layer) => layerFiles(kind, layer));
}

/** Which layers come from where: an interrupted call is continued with the same alone. */
function planOf({ parts, record }: Joined): string {
  const sources = parts.map(({ folder, recipe }) => ({ folder: resolve(folder), layers: recipe.layers }));
  return `${JSON.stringify({ sources, identity: record.identity })}\n`;
}

async function refuseOther(output: string, state: string, plan: string): Promise<void> {
  if (existsSync(state)) {
    if ((await readFile(state, 'utf8')) === plan) return;
    throw new UsageError({
      code: 'other_merge',
      message: `${output} holds what an interrupted merge of other parts wrote`,
      hint: 'Give the same parts to continue it, remove that folder, or give --output another one.',
    });
  }
  const found = [SET_CONFIG, LOG_FILE].find((name) => existsSync(joinPath(output, name)));
  if (found === undefined) return;
  throw new UsageError({
    code: 'set_exists',
    message: `${output} holds a set or a training already: ${found}`,
    hint: 'Give --output another folder, or remove this one.',
  });
}

/** Whether there are held-out documents; parts were to hold out the same. */
async function checkHeldOut({ parts }: Joined): Promise<boolean> {
  const digests = await Promise.all(
    parts.map(async ({ folder }) => {
      const path = joinPath(folder, HELD_OUT_FILE);
      if (!existsSync(path)) return null;
      return createHash('sha256')
        .update(await readFile(path))
        .digest('hex');
    }),
  );
  const other = digests.findIndex((digest) => digest !== digests[0]);
  if (other === -1) return digests[0] !== null;
  throw new BadFileError({
    code: 'other_training',
    message: `${parts[other]!.folder} has another ${HELD_OUT_FILE} than ${parts[0]!.folder}`,
    hint: 'Parts of a set are trained on the same corpus, with the same documents held out.',
  });
}

async function copyFiles(request: MergeRequest, joined: Joined, hasHeldOut: boolean): Promise<void> {
  const { output, signal } = request;
  const copies: { readonly from: string; readonly to: string; readonly bytes: number }[] = [];
  for (const { folder, recipe } of joined.parts) {
    for (const name of filesOf(recipe)) {
      const [from, to] = [joinPath(folder, name), joinPath(output, name)];
      using _file = await openSafetensors(from); // one that is damaged is named before anything is written
      // With its name it is complete.
      if (!existsSync(to)) copies.push({ from, to, bytes: (await stat(from)).size });
    }
  }
  const needed = copies.reduce((sum, { bytes }) => sum + bytes, 0);
  const { freeBytes } = await folderState(output);
  if (needed > freeBytes) {
    throw new ExhaustedError({
      code: 'disk_full',
      message: `${output}: the layers take ${needed} bytes more, the disk has ${freeBytes}`,
      hint: 'Free disk space, or give --output a folder on a larger disk.',
    });
  }
  let done = 0;
  for (const { from, to, bytes } of copies) {
    request.onProgress?.({ kind: 'progress', phase: 'copy', message: 'Copying layers', done, total: needed });
    await copyFile(from, to, signal);
    done += bytes;
  }
  const [first] = joined.parts;
  if (hasHeldOut) {
    await copyFile(joinPath(first!.folder, HELD_OUT_FILE), joinPath(output, HELD_OUT_FILE), signal);
  }
  await writeFileAtomic(joinPath(output, LOG_FILE), (writer) => writeJoinedLog(writer, joined), { signal });
}

async function copyFile(from: string, to: string, signal: AbortSignal | undefined): Promise<void> {
  await writeFileAtomic(
    to,
    async (writer) => {
      for await (const chunk of createReadStream(from, { highWaterMark: COPIED_BYTES })) {
        await writer.write(chunk as Buffer);
      }
    },
    { signal },
  );
}

/** Read and written at a time. */
const COPIED_BYTES = 8 * 2 ** 20;
