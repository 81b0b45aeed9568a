/** Settings files: finding them, reading one with every key checked, and saving a choice in one. */
import { existsSync } from 'node:fs';
import { dirname, isAbsolute, join, relative, resolve } from 'node:path';
import * as v from 'valibot';
import { BadFileError } from '../errors.ts';
import { jsonRecord } from '../formats/json-object.ts';
import { writeFileAtomic } from '../formats/atomic.ts';
import { readJson } from '../formats/json.ts';
import { userFolder } from '../formats/user-folders.ts';
import { nearest } from '../nearest.ts';
import { SETTING_NAMES, SETTING_RULES, type SettingName } from './rules.ts';

/** The file of a project: searched from the working directory upwards. */
export const PROJECT_FILE = 'tracer.config.json';

const JSON_INDENT = 2;

type JsonObject = Readonly<Record<string, unknown>>;

const anyObject: v.GenericSchema<unknown, JsonObject> = jsonRecord(v.string(), v.unknown());

/** The nearest `tracer.config.json` in `folder` or above it. */
export function findProjectFile(folder: string): string | undefined {
  for (let here = resolve(folder); ; here = dirname(here)) {
    const path = join(here, PROJECT_FILE);
    if (existsSync(path)) return path;
    if (here === dirname(here)) return undefined;
  }
}

/** The file with the settings of this user, for all projects; it need not exist. */
export function userSettingsFile(): string {
  return join(userFolder('config'), 'config.json');
}

/** The keys that a file sets. Throws `BadFileError` that names the file, the key, and the nearest right one. */
export async function readSettingsFile(path: string): Promise<ReadonlyMap<SettingName, unknown>> {
  const content = await readJson(path, anyObject);
  const found = new Map<SettingName, unknown>();
  for (const [key, raw] of Object.entries(content)) {
    const name = SETTING_NAMES.find((known) => known === key);
    if (name === undefined) throw unknownKey(path, key);
    found.set(name, absolutePath(name, raw, dirname(path)));
  }
  return found;
}

function unknownKey(path: string, key: string): BadFileError {
  const guess = nearest(key, SETTING_NAMES);
  return new BadFileError({
    code: 'unknown_setting',
    message: `${path}: there is no setting '${key}'`,
    hint: guess === undefined ? `Settings: ${SETTING_NAMES.join(', ')}.` : `Did you mean '${guess}'?`,
  });
}

function isRelativePath(value: unknown): value is string {
  return typeof value === 'string' && /^\.{1,2}(?:[/\\]|$)/.test(value);
}

function absolutePath(name: SettingName, raw: unknown, folder: string): unknown {
  return SETTING_RULES[name].mayBePath === true && isRelativePath(raw) ? resolve(folder, raw) : raw;
}

export type Choice = Partial<Record<SettingName, string | number | boolean>>;

/**
 * Writes a choice into the project's file (made in `folder` when there is none above it) and returns its path.
 * The other settings in it are kept. A local folder is stored relative to the file, so that a project can be moved.
 */
export async function saveChoice(folder: string, choice: Choice): Promise<string> {
  const path = findProjectFile(folder) ?? join(resolve(folder), PROJECT_FILE);
  if (existsSync(path)) await readSettingsFile(path); // an invalid file is not overwritten
  const old = existsSync(path) ? await readJson(path, anyObject) : {};
  const kept = Object.entries(choice).map(([name, value]) => {
    return [name, pathForFile(name as SettingName, value, folder, dirname(path))];
  });
  const content = { ...old, ...(Object.fromEntries(kept) as JsonObject) };
  await writeFileAtomic(path, `${JSON.stringify(content, null, JSON_INDENT)}\n`);
  return path;
}

function pathForFile(name: SettingName, value: unknown, typedIn: string, fileFolder: string): unknown {
  if (SETTING_RULES[name].mayBePath !== true || typeof value !== 'string') return value;
  const isFolder = isRelativePath(value) || isAbsolute(value) || existsSync(resolve(typedIn, value));
  // A preset or a name on the Hub, unless it is a folder given without `./`.
  if (!isFolder || !value.includes('/')) return value;
  const fromFile = relative(fileFolder, resolve(typedIn, value));
  // Outside the project an absolute path is clearer than a series of `../`.
  if (fromFile.startsWith('..') || isAbsolute(fromFile)) return resolve(typedIn, value);
  return `./${fromFile.replaceAll('\\', '/')}`;
}
