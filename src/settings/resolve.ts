/** One value a setting, and where it came from: flag, environment, project file, user file, in this order. */
import { existsSync } from 'node:fs';
import { BadFileError, UsageError } from '../errors.ts';
import { shown } from '../formats/shown.ts';
import { nearest } from '../nearest.ts';
import { findProjectFile, readSettingsFile, userSettingsFile } from './files.ts';
import { SETTING_NAMES, SETTING_RULES, type SettingName, type SettingValues } from './rules.ts';

/** Where a value came from, as errors and `--verbose` name it: `--device`, `TRACER_DEVICE`, or a file. */
export interface Setting<T> {
  readonly value: T;
  readonly from: string;
}

/** A setting that was not given is absent: its default is the engine's. */
export type Settings = { readonly [Name in SettingName]?: Setting<SettingValues[Name]> };

export interface SettingInput {
  /** Values of flags as they were typed. */
  readonly flags: Partial<Readonly<Record<SettingName, unknown>>>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly workingFolder: string;
  /** Instead of the one in the user's configuration folder. */
  readonly userFile?: string;
}

interface Layer {
  readonly kind: 'flag' | 'environment' | 'file';
  /** Raw value and the name of its origin. */
  readonly lookUp: (name: SettingName) => { readonly raw: unknown; readonly from: string } | undefined;
}

async function fileLayer(path: string): Promise<Layer> {
  const values = await readSettingsFile(path);
  return {
    kind: 'file',
    lookUp: (name) => (values.has(name) ? { raw: values.get(name), from: path } : undefined),
  };
}

async function layersOf(input: SettingInput): Promise<Layer[]> {
  const flags: Layer = {
    kind: 'flag',
    lookUp(name) {
      const raw = input.flags[name];
      return raw === undefined ? undefined : { raw, from: SETTING_RULES[name].flag };
    },
  };
  const environment: Layer = {
    kind: 'environment',
    lookUp(name) {
      const { variable } = SETTING_RULES[name];
      // An empty variable counts as unset.
      const raw = variable === undefined ? undefined : input.environment[variable] || undefined;
      return raw === undefined ? undefined : { raw, from: variable! };
    },
  };
  const projectFile = findProjectFile(input.workingFolder);
  const userFile = input.userFile ?? userSettingsFile();
  const files = [projectFile, existsSync(userFile) ? userFile : undefined];
  return [
    flags,
    environment,
    ...(await Promise.all(files.filter((path) => path !== undefined).map(fileLayer))),
  ];
}

/** Throws `UsageError` for a bad flag or variable and `BadFileError` for a bad file; both name origin, expected and found. */
export async function resolveSettings(input: SettingInput): Promise<Settings> {
  const layers = await layersOf(input);
  const settings: Partial<Record<SettingName, Setting<unknown>>> = {};
  for (const name of SETTING_NAMES) {
    for (const layer of layers) {
      const found = layer.lookUp(name);
      if (!found) continue;
      const value = SETTING_RULES[name].parse(found.raw);
      if (value === undefined) throw badValue(name, layer.kind, found.from, found.raw);
      settings[name] = { value, from: found.from };
      break;
    }
  }
  return settings as Settings;
}

function badValue(name: SettingName, kind: Layer['kind'], from: string, raw: unknown): Error {
  const { expected, choices } = SETTING_RULES[name];
  const guess = choices && typeof raw === 'string' ? nearest(raw, choices) : undefined;
  const details = {
    code: 'bad_setting',
    message: `${kind === 'file' ? `${from}: ${name}` : from}: expected ${expected}, found ${shown(raw)}`,
    hint: guess === undefined ? `Give ${expected}.` : `Did you mean '${guess}'?`,
  };
  return kind === 'file' ? new BadFileError(details) : new UsageError(details);
}
