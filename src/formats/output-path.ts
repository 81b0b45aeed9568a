/**
 * Files, writing: the target of a path that may be a link to something that does not exist yet. Files are written and folders
 * made at the target of a link, and the link is never replaced.
 */
import { lstat, mkdir, readlink, realpath, stat } from 'node:fs/promises';
import type { Stats } from 'node:fs';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { ExhaustedError } from '../errors.ts';
import { errnoCode, writingError } from './system-errors.ts';

/** Linux follows as many before it reports a circle, ELOOP (path_resolution(7)). */
const MOST_LINKS = 40;

/**
 * The path itself, or the target of a link (or of a chain of links). The target need not exist, but its folder has to.
 * Throws `ExhaustedError` for a link whose folder is missing and for links in a circle.
 */
export async function followLinks(path: string): Promise<string> {
  let place = resolve(path);
  for (let hops = 0; hops < MOST_LINKS; hops++) {
    const target = await readLink(place);
    if (target === undefined) return hops === 0 ? place : await insideItsFolder(path, place);
    // Not joined: `..` in a target starts from where the link really lies, and only the system knows that.
    place = isAbsolute(target) ? target : `${await realpath(dirname(place))}/${target}`;
  }
  throw new ExhaustedError({
    code: 'not_writable',
    message: `${path} cannot be written: it is a link in a circle of links`,
    hint: 'Remove the link, or name another file.',
  });
}

/** Makes a folder and those above it; where one of them is a link to a folder that does not exist, the link's target. */
export async function makeFolder(path: string): Promise<void> {
  try {
    await makeFolders(path);
  } catch (error) {
    throw writingError(path, error);
  }
}

/** The nearest folder that exists: the one in which `makeFolder` would begin. Throws as `followLinks`. */
export async function nearestFolder(path: string): Promise<string> {
  if (await statIfThere(path)) return path;
  const target = await followLinks(path);
  return await nearestFolder(dirname(target));
}

/** What is there, links followed; undefined for nothing, and for a link to nothing. */
export async function statIfThere(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function makeFolders(path: string): Promise<void> {
  const old = await statIfThere(path).catch(async (error: unknown) => {
    if (errnoCode(error) === 'ENOTDIR') await makeFolders(dirname(path)); // names the file that is above it
    throw error;
  });
  if (old?.isDirectory()) return;
  if (old) throw isAFile(path, await mkdir(path).catch((error: unknown) => error));
  const target = await followLinks(path);
  await makeFolders(dirname(target));
  try {
    // Not `recursive`: where the system makes no folder and says that there is none above (/proc), Node would try for ever.
    await mkdir(target);
  } catch (error) {
    if (errnoCode(error) !== 'EEXIST') throw error;
    await mkdir(target, { recursive: true }); // made meanwhile; refuses what is no folder
  }
}

function isAFile(path: string, cause: unknown): ExhaustedError {
  return new ExhaustedError({
    code: 'not_writable',
    message: `${path} is a file, but a folder is needed there`,
    hint: 'Name another folder, or move the file away.',
    cause,
  });
}

async function insideItsFolder(link: string, target: string): Promise<string> {
  const folder = dirname(target);
  if (await statIfThere(folder)) return join(await realpath(folder), basename(target));
  throw new ExhaustedError({
    code: 'not_writable',
    message: `${link} cannot be written: it is a link to ${target}, and there is no folder ${folder}`,
    hint: 'Make that folder, or remove the link.',
  });
}

async function readLink(path: string): Promise<string | undefined> {
  try {
    return (await lstat(path)).isSymbolicLink() ? await readlink(path) : undefined;
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
