/** Hub, step 0: presets, the short names that `configs/models` and `configs/transcoders` give to repositories and folders. */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as v from 'valibot';
import { BadFileError, NotFoundError, UsageError } from '../errors.ts';
import { messageOf } from '../formats/system-errors.ts';
import { jsonRecord, strictJsonObject } from '../formats/json-object.ts';
import { nearest } from '../nearest.ts';
import { checkRevision, type HubReference, type LocalReference, parseReference } from './reference.ts';

export type PresetKind = 'models' | 'transcoders';

const PresetFile = strictJsonObject({
  /** One line for lists and help. */
  description: v.string(),
  /** Other names for the same thing. */
  aliases: v.optional(v.array(v.string()), []),
  /** Repository on the Hub: `owner/name` or `owner/name//subfolder`. */
  repo: v.optional(v.string()),
  /** Revision of the repository. */
  revision: v.optional(v.string()),
  /** Folder below `configs/`, for what ships with the package. */
  path: v.optional(v.string()),
  /** For a transcoder set: the preset of the model that it was made for. */
  model: v.optional(v.string()),
  /** For a set that lists files of other repositories without a revision: which one is meant, by repository. */
  linked: v.optional(jsonRecord(v.string(), v.string())),
});

export interface Preset {
  readonly kind: PresetKind;
  readonly name: string;
  readonly aliases: readonly string[];
  readonly description: string;
  /** What the name stands for. */
  readonly reference: HubReference | LocalReference;
  /** For a transcoder set: the name of its model's preset. */
  readonly model: string | undefined;
  /** Revisions of the repositories whose files a set lists, by repository. */
  readonly linked: Readonly<Record<string, string>> | undefined;
}

/** A name given by the user, resolved to a repository or folder. */
export interface Located {
  readonly reference: HubReference | LocalReference;
  /** The preset that the name was, if it was one. */
  readonly preset: Preset | undefined;
}

const CONFIGS = fileURLToPath(new URL('../../configs/', import.meta.url));

/** All presets of a kind, by name. Throws `BadFileError` for a preset file that is not one. */
export function listPresets(kind: PresetKind, configs = CONFIGS): Preset[] {
  const names = readdirSync(join(configs, kind)).filter((name) => name.endsWith('.json'));
  return names.sort().map((name) => readPresetFile(kind, join(configs, kind, name), configs));
}

/** Names and aliases of all presets of a kind, as `parseReference` takes them. */
export function presetNames(kind: PresetKind, configs = CONFIGS): string[] {
  return listPresets(kind, configs).flatMap(({ name, aliases }) => [name, ...aliases]);
}

/** A preset by its name or an alias. Throws `NotFoundError` with the nearest name. */
export function readPreset(kind: PresetKind, name: string, configs = CONFIGS): Preset {
  const presets = listPresets(kind, configs);
  const found = presets.find((preset) => preset.name === name || preset.aliases.includes(name));
  if (found) return found;
  const names = presets.flatMap((preset) => [preset.name, ...preset.aliases]);
  const guess = nearest(name, names);
  throw new NotFoundError({
    code: 'unknown_preset',
    message: `there is no preset '${name}' for ${kind}`,
    hint: guess ? `Did you mean '${guess}'?` : `Presets: ${names.join(', ')}.`,
  });
}

/**
 * The value of `--model` or `--transcoders`, with presets resolved; `revision` (from `--revision`) wins over one
 * in the name or preset. Throws as `parseReference`, and `UsageError` for a revision of a local folder.
 */
export function locate(kind: PresetKind, text: string, revision?: string, configs = CONFIGS): Located {
  const parsed = parseReference(text, { presets: presetNames(kind, configs) });
  const preset = parsed.kind === 'preset' ? readPreset(kind, parsed.name, configs) : undefined;
  const reference = parsed.kind === 'preset' ? preset!.reference : parsed;
  if (revision === undefined) return { reference, preset };
  checkRevision(revision, revision);
  if (reference.kind === 'local') {
    throw new UsageError({
      code: 'revision_of_folder',
      message: `--revision ${revision} makes no sense for ${text}: files on this disk have no revisions`,
      hint: 'Leave --revision out, or name a repository on the Hub.',
    });
  }
  return { reference: { ...reference, revision }, preset };
}

function readPresetFile(kind: PresetKind, file: string, configs: string): Preset {
  const { description, aliases, repo, revision, path, model, linked } = parsePresetFile(file);
  if ((repo === undefined) === (path === undefined))
    throw badPreset(file, "exactly one of 'repo' and 'path' is needed");
  for (const [other, pinned] of Object.entries(linked ?? {})) hubReference(file, other, pinned);
  const reference =
    path === undefined
      ? hubReference(file, repo!, revision)
      : ({ kind: 'local', path: join(configs, path) } as const);
  return {
    kind,
    name: basename(file, '.json'),
    aliases,
    description,
    reference,
    model,
    linked,
  };
}

function hubReference(file: string, repo: string, revision: string | undefined): HubReference {
  const text = revision === undefined ? repo : `${repo}@${revision}`;
  try {
    const reference = parseReference(text, { presets: [], exists: () => false });
    if (reference.kind === 'hub') return reference;
  } catch (cause) {
    throw badPreset(file, messageOf(cause), cause);
  }
  throw badPreset(file, `'${repo}' is expected to name a repository`);
}

function parsePresetFile(file: string): v.InferOutput<typeof PresetFile> {
  try {
    return v.parse(PresetFile, JSON.parse(readFileSync(file, 'utf8')));
  } catch (cause) {
    throw badPreset(file, messageOf(cause), cause);
  }
}

function badPreset(file: string, why: string, cause?: unknown): BadFileError {
  return new BadFileError({
    code: 'bad_preset',
    message: `${file} is not a preset: ${why}`,
    hint: 'See the other preset files in the same folder for the form.',
    cause,
  });
}
