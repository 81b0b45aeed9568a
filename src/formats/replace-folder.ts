/** Files, writing: a folder appears complete or not at all. It is filled under another name beside its place and renamed. */
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { mkdir, readdir, realpath, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { UsageError } from '../errors.ts';
import { makeFolder, statIfThere } from './output-path.ts';
import { replaceFile } from './replace-file.ts';
import { writingError } from './system-errors.ts';

export interface ReplaceFolderOptions {
  /** What the folder holds, for errors: `a study`. */
  readonly what: string;
  /** Of the names in a folder that is there, one that must not be lost; undefined where the folder may be replaced. */
  readonly inTheWay: (names: readonly string[]) => string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Folders under their other name, removed also when the process ends early with `process.exit`. */
const unfinished = new Set<string>();
process.on('exit', () => {
  for (const path of unfinished) rmSync(path, { recursive: true, force: true });
});

/**
 * Gives `fill` an empty folder, which then takes the place of `path`. When anything fails, the old folder is as it was. Throws
 * `UsageError` for a file and for a folder that may not be replaced, `ExhaustedError` for a place that cannot be written.
 */
export async function replaceFolder<T>(
  path: string,
  { what, inTheWay, signal }: ReplaceFolderOptions,
  fill: (draft: string) => Promise<T>,
): Promise<T> {
  const old = await oldFolder(path, what, inTheWay);
  const target = old ?? resolve(path);
  const draft = join(dirname(target), `.${basename(target)}.${randomBytes(6).toString('hex')}.tmp`);
  unfinished.add(draft);
  try {
    await makeFolder(dirname(target));
    await mkdir(draft);
    const result = await fill(draft);
    signal?.throwIfAborted();
    await putInPlace(draft, target, old !== undefined);
    return result;
  } catch (error) {
    throw writingError(path, error);
  } finally {
    await rm(draft, { recursive: true, force: true });
    unfinished.delete(draft);
  }
}

/** Behind links, if it is there. */
async function oldFolder(
  path: string,
  what: string,
  inTheWay: ReplaceFolderOptions['inTheWay'],
): Promise<string | undefined> {
  const stats = await statIfThere(path).catch((error: unknown) => {
    throw writingError(path, error);
  });
  if (!stats) return undefined;
  if (!stats.isDirectory()) {
    throw new UsageError({
      code: 'output_is_a_file',
      message: `${path} is a file, but ${what} is a folder`,
      hint: 'Name another folder.',
    });
  }
  const names = await readdir(path);
  const other = names.length === 0 ? undefined : inTheWay(names);
  if (other !== undefined) {
    throw new UsageError({
      code: 'output_in_use',
      message: `${path} holds other files (${other}), and ${what} is written into a folder of its own`,
      hint: 'Name a folder that is empty or does not exist.',
    });
  }
  return await realpath(path);
}

async function putInPlace(draft: string, target: string, isThere: boolean): Promise<void> {
  if (!isThere) return await replaceFile(draft, target);
  const aside = `${draft}.old`;
  await replaceFile(target, aside);
  try {
    await replaceFile(draft, target);
  } catch (error) {
    await replaceFile(aside, target);
    throw error;
  }
  await rm(aside, { recursive: true, force: true });
}
