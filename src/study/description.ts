/** Study, `study.json`: what holds for all graphs of a study. */
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import * as v from 'valibot';
import { BadFileError, NotFoundError } from '../errors.ts';
import { jsonObject } from '../formats/json-object.ts';
import { parseJson } from '../formats/json.ts';
import { readText } from '../formats/parsed-text.ts';
import { errnoCode, openingError } from '../formats/system-errors.ts';
import type { Provenance } from '../graph/graph.ts';
import { TABLE_NAMES, TABLE_SUFFIX } from './tables.ts';

export const DESCRIPTION_FILE = 'study.json';
const FORMAT = 'tracer.study';
const FORMAT_VERSION = '1';
/** A line a column of the list of prompts. */
const LARGEST_BYTES = 2 ** 24;

const source = jsonObject({
  name: v.string(),
  revision: v.nullable(v.string()),
  config_sha256: v.nullable(v.string()),
});
const DescriptionSchema = jsonObject({
  format: v.string(),
  format_version: v.string(),
  tracer_version: v.string(),
  n_graphs: v.number(),
  /** Of all graphs: features of different sets are unrelated. */
  model: source,
  transcoders: source,
  n_layers: v.pipe(v.number(), v.integer(), v.minValue(1)),
  vocabulary_size: v.nullable(v.pipe(v.number(), v.integer(), v.minValue(0))),
  scan: v.string(),
  /** Columns of the list of prompts by their names in `graphs`. */
  metadata: v.array(jsonObject({ name: v.string(), column: v.string(), type: v.string() })),
});

export type StudyDescription = Omit<v.InferOutput<typeof DescriptionSchema>, 'format' | 'format_version'>;

export function descriptionText(description: StudyDescription): string {
  return `${JSON.stringify({ format: FORMAT, format_version: FORMAT_VERSION, ...description }, null, 2)}\n`;
}

/** The model and the set that a graph was made with. */
export function subjectOf({
  model,
  transcoders,
}: Provenance): Pick<StudyDescription, 'model' | 'transcoders'> {
  const reference = ({ name, revision, config_sha256 }: Provenance['model']) => ({
    name,
    revision,
    config_sha256,
  });
  return { model: reference(model), transcoders: reference(transcoders) };
}

export function tableFile(folder: string, table: string): string {
  return path.join(folder, `${table}${TABLE_SUFFIX}`);
}

/** Of the names in a folder, the first that does not belong to a study as it was collected; any where the folder is no study. */
export function foreignName(names: readonly string[]): string | undefined {
  const own = new Set([DESCRIPTION_FILE, ...TABLE_NAMES.map((name) => `${name}${TABLE_SUFFIX}`)]);
  return names.includes(DESCRIPTION_FILE) ? names.find((name) => !own.has(name)) : names[0];
}

/** Names of the tables in a folder that were put beside those of the study: results about its graphs. */
export async function addedTables(folder: string): Promise<string[]> {
  const own = new Set<string>(TABLE_NAMES);
  return (await readdir(folder))
    .filter((name) => name.endsWith(TABLE_SUFFIX) && !name.startsWith('.'))
    .map((name) => name.slice(0, -TABLE_SUFFIX.length))
    .filter((name) => !own.has(name))
    .sort();
}

/** Throws `NotFoundError` for a folder that is no study, `BadFileError` for a damaged one or another version. */
export async function readDescription(folder: string): Promise<StudyDescription> {
  const file = path.join(folder, DESCRIPTION_FILE);
  for (const needed of [file, ...TABLE_NAMES.map((name) => tableFile(folder, name))]) {
    if (await isFile(folder, needed)) continue;
    throw noStudy(folder, `it has no file ${path.basename(needed)}`);
  }
  const { format, format_version, ...description } = parseJson(
    file,
    await readText(file, LARGEST_BYTES),
    DescriptionSchema,
  );
  if (format === FORMAT && format_version === FORMAT_VERSION) return description;
  throw new BadFileError({
    code: 'study_version',
    message: `${file} says format ${JSON.stringify(format)}, version ${JSON.stringify(format_version)}; this program reads "${FORMAT}", "${FORMAT_VERSION}"`,
    hint: 'Collect the graphs again with this program.',
  });
}

async function isFile(folder: string, file: string): Promise<boolean> {
  try {
    return (await stat(file)).isFile();
  } catch (cause) {
    if (errnoCode(cause) === 'ENOENT') return false;
    throw errnoCode(cause) === 'ENOTDIR' ? noStudy(folder, 'it is no folder') : openingError(file, cause);
  }
}

function noStudy(folder: string, reason: string): NotFoundError {
  return new NotFoundError({
    code: 'no_study',
    message: `${folder} is no study: ${reason}`,
    hint: 'Make one with `tracer graph collect FOLDERS... --output STUDY`.',
  });
}
