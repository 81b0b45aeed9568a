/** Files, step 4 (JSON): a text to a checked value. */
import { BadFileError } from '../errors.ts';
import type { ByteSource } from './byte-source.ts';
import { checkSchema, readText } from './parsed-text.ts';
import type { Schema } from './parsed-text.ts';
import { messageOf } from './system-errors.ts';

/** Above every `tokenizer.json` known (35 MB); more means that the wrong file is named. */
const LARGEST_JSON_BYTES = 128 * 2 ** 20;

/** Reads and checks a JSON file. Throws `NotFoundError`, or `BadFileError` that names the file and the field. */
export async function readJson<T>(sourceOrPath: ByteSource | string, schema: Schema<T>): Promise<T> {
  const name = typeof sourceOrPath === 'string' ? sourceOrPath : sourceOrPath.name;
  return parseJson(name, await readText(sourceOrPath, LARGEST_JSON_BYTES), schema);
}

/** As `readJson`, for a text that is there already; `name` is what errors call it. */
export function parseJson<T>(name: string, text: string, schema: Schema<T>): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new BadFileError({
      code: 'json_syntax',
      message: `${name} is not JSON: ${messageOf(cause)}`,
      hint: 'Correct the file, or fetch it again.',
      cause,
    });
  }
  return checkSchema(name, value, schema);
}
