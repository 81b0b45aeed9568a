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

const count = v.pipe(v.number(), v.integer(), v.minValue(1));

const PresetEntry = strictJsonObject({
  /** In a file with a list of presets; otherwise the name is that of the file. */
  name: v.optional(v.string()),
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

  // Of a model.
  layers: v.optional(count),
  d_model: v.optional(count),
  parameters: v.optional(count),
  /** Whether its terms have to be accepted on its page first. */
  gated: v.optional(v.boolean(), false),

  // Of a transcoder set.
  /** The preset of the model that it was made for. */
  model: v.optional(v.string()),
  kind: v.optional(v.picklist(['per-layer', 'cross-layer']), 'per-layer'),
  /** Features a layer, where it is known. */
  features: v.optional(count),
  /** Its pages on Neuronpedia: `model/source`, with `{layer}` for the layer. */
  neuronpedia: v.optional(v.string()),
  /** For a set that lists files of other repositories without a revision: which one is meant, by repository. */
  linked: v.optional(jsonRecord(v.string(), v.string())),
});
type PresetEntry = v.InferOutput<typeof PresetEntry>;

const PresetFile = v.union([v.array(PresetEntry), PresetEntry]);

export interface Preset extends Omit<PresetEntry, 'name' | 'repo' | 'revision' | 'path'> {
  readonly of: PresetKind;
  readonly name: string;
  /** What the name stands for. */
  readonly reference: HubReference | LocalReference;
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
  return names
    .flatMap((name) => readPresetFile(kind, join(configs, kind, name), configs))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
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

function readPresetFile(kind: PresetKind, file: string, configs: string): Preset[] {
  const content = parsePresetFile(file);
  const entries = Array.isArray(content) ? content : [{ ...content, name: basename(file, '.json') }];
  return entries.map(({ name, repo, revision, path, ...entry }) => {
    if (name === undefined) throw badPreset(file, "each preset of a list needs a 'name'");
    if ((repo === undefined) === (path === undefined))
      throw badPreset(file, `${name}: exactly one of 'repo' and 'path' is needed`);
    for (const [other, pinned] of Object.entries(entry.linked ?? {})) hubReference(file, other, pinned);
    const reference =
      path === undefined
        ? hubReference(file, repo!, revision)
        : ({ kind: 'local', path: join(configs, path) } as const);
    return { of: kind, name, reference, ...entry };
  });
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
