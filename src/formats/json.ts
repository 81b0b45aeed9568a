/** Files, step 4 (JSON): a text to a checked value. */
import { BadFileError } from '../errors.ts';
import type { ByteSource } from './byte-source.ts';
import { endOfString } from './duplicate-keys.ts';
import { checkSchema, readText } from './parsed-text.ts';
import type { Schema } from './parsed-text.ts';
import { savedInstead } from './saved-instead.ts';
import { messageOf } from './system-errors.ts';

/** Above every `tokenizer.json` known (35 MB); more means that the wrong file is named. */
const LARGEST_JSON_BYTES = 128 * 2 ** 20;

/** Reads and checks a JSON file. Throws `NotFoundError`, or `BadFileError` that names the file and the field. */
export async function readJson<T>(sourceOrPath: ByteSource | string, schema: Schema<T>): Promise<T> {
  const name = typeof sourceOrPath === 'string' ? sourceOrPath : sourceOrPath.name;
  return parseJson(name, await readText(sourceOrPath, LARGEST_JSON_BYTES), schema);
}

/**
 * As `readJson`, for a text that is there already; `name` is what errors call it, `firstLine` how they count the lines of a
 * text that is a part of a file.
 */
export function parseJson<T>(name: string, text: string, schema: Schema<T>, firstLine = 1): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw savedInstead(name, text, 'JSON') ?? notJson(name, text, firstLine, cause);
  }
  return checkSchema(name, value, schema);
}

function notJson(name: string, text: string, firstLine: number, cause: unknown): BadFileError {
  const found = findPythonNumber(text);
  if (!found) {
    return new BadFileError({
      code: 'json_syntax',
      message: `${name} is not JSON: ${messageOf(cause)}`,
      hint: 'Correct the file, or fetch it again.',
      cause,
    });
  }
  const before = text.slice(0, found.at).split('\n');
  const line = firstLine + before.length - 1;
  const column = before.at(-1)!.length + 1;
  return new BadFileError({
    code: 'json_syntax',
    message: `${name} is not JSON: line ${line}, column ${column} has ${found.word}. Python writes NaN and Infinity, but JSON has no such numbers`,
    hint: 'Replace it by a number or by null.',
    cause,
  });
}

const CLOSING: Readonly<Record<string, string>> = { '{': '}', '[': ']' };

/** The first number that Python writes and JSON does not have, if nothing before it keeps the text from being JSON. */
function findPythonNumber(text: string): { readonly word: string; readonly at: number } | undefined {
  const sign = /["{}[\]]|-?\b(?:NaN|Infinity)\b/g;
  const open: string[] = [];
  for (let match = sign.exec(text); match; match = sign.exec(text)) {
    const [word] = match;
    if (word === '"') sign.lastIndex = endOfString(text, match.index);
    else if (word === '}' || word === ']') open.pop();
    else if (Object.hasOwn(CLOSING, word)) open.push(CLOSING[word]!);
    else {
      const whole = `${text.slice(0, match.index)}null${open.reverse().join('')}`;
      return isJson(whole) ? { word, at: match.index } : undefined;
    }
  }
  return undefined;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
