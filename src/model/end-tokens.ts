/** Model, for generation: the tokens that end a text, from the same places as transformers' `generate` takes them. */
import * as v from 'valibot';
import { BadFileError } from '../errors.ts';
import { jsonObject } from '../formats/json-object.ts';
import { readJson } from '../formats/json.ts';
import { shown } from '../formats/shown.ts';
import { CONFIG_FILE } from './checkpoint.ts';
import type { TransformerConfig } from './config.ts';
import type { FileSet } from './file-set.ts';

export const GENERATION_CONFIG_FILE = 'generation_config.json';

const FIELD = 'eos_token_id';
const EosFile = jsonObject({ [FIELD]: v.optional(v.unknown()) });

/**
 * Only `generation_config.json` counts where a checkpoint has one, even if it names no token; else `config.json`, and where
 * that lacks the field, the default of the family's class in transformers. Ids beyond the vocabulary are among them, as in
 * transformers: no text ends with one. Throws `BadFileError` for anything but ids.
 */
export async function readEndTokens(
  files: FileSet,
  { family }: TransformerConfig,
): Promise<readonly number[]> {
  const name = files.has(GENERATION_CONFIG_FILE) ? GENERATION_CONFIG_FILE : CONFIG_FILE;
  using source = await files.open(name);
  const { [FIELD]: value } = await readJson(source, EosFile);
  if (value === undefined) return name === CONFIG_FILE ? family.defaultEndTokens : [];
  const ids: unknown[] = value === null ? [] : Array.isArray(value) ? value : [value];
  const isId = (id: unknown): id is number => Number.isSafeInteger(id) && Number(id) >= 0;
  if (ids.every(isId)) return ids;
  throw new BadFileError({
    code: 'bad_eos_token',
    message: `${source.name}: field ${FIELD}: expected a token id from 0 on or a list of them, found ${shown(value)}`,
    hint: 'Correct the file, or give --no-stop-at-eos.',
  });
}
