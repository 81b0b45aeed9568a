/** Files, helper of JSON and YAML: the text of a small file, and the check by a schema with errors that name file and field. */
import * as v from 'valibot';
import { BadFileError } from '../errors.ts';
import { openFileSource } from './byte-source.ts';
import type { ByteSource } from './byte-source.ts';
import { bytesInstead } from './saved-instead.ts';
import { shownName } from './shown.ts';

/** Whole text of a file. Throws `NotFoundError`, or `BadFileError` when it is larger than allowed or not UTF-8. */
export async function readText(sourceOrPath: ByteSource | string, largestBytes: number): Promise<string> {
  using source = typeof sourceOrPath === 'string' ? await openFileSource(sourceOrPath) : sourceOrPath;
  if (source.size > largestBytes) {
    throw new BadFileError({
      code: 'file_too_large',
      message: `${source.name} has ${source.size} bytes; at most ${largestBytes} are expected in such a file`,
      hint: 'Check that the right file is named.',
    });
  }
  const bytes = new Uint8Array(source.size);
  await source.read(0, bytes);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    const notUtf8 = new BadFileError({
      code: 'not_utf8',
      message: `${source.name} is not a text in UTF-8`,
      hint: 'Save it as UTF-8, or fetch it again.',
      cause,
    });
    throw bytesInstead(source.name, bytes, 'a text in UTF-8') ?? notUtf8;
  }
}

export type Schema<T> = v.GenericSchema<unknown, T>;

/** The value in the schema's type; throws `BadFileError` that names the file, the field, what was expected and found. */
export function checkSchema<T>(name: string, value: unknown, schema: Schema<T>): T {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const [issue, ...others] = result.issues;
  const first = nearestMiss(issue);
  const field = fieldPath(first.path ?? []);
  const fault = faultOf(first);
  const more = others.length === 0 ? '' : ` (and ${others.length} more)`;
  throw new BadFileError({
    code: 'bad_field',
    message: `${name}: ${field === '' ? 'the whole document' : `field ${field}`}: ${fault}${more}`,
    hint: 'Correct the file, or fetch it again.',
  });
}

/**
 * Of several forms that a value may have, the fault in the one that it fits furthest: "expected Object, found Object" says nothing. A
 * field that another form has is no near miss.
 */
function nearestMiss(issue: v.BaseIssue<unknown>): v.BaseIssue<unknown> {
  const parts = issue.type === 'union' ? (issue.issues ?? []).map(nearestMiss) : [];
  const depth = ({ path, received }: v.BaseIssue<unknown>): number =>
    received === 'undefined' ? 0 : (path?.length ?? 0);
  const [deepest] = parts.sort((one, other) => depth(other) - depth(one));
  if (deepest?.path === undefined || depth(deepest) === 0) return issue;
  const [first, ...others] = [...(issue.path ?? []), ...deepest.path];
  return { ...deepest, path: [first, ...others] };
}

function faultOf({ expected, received, message }: v.BaseIssue<unknown>): string {
  if (expected === null) return message;
  // Of schemas that allow no other fields.
  if (expected === 'never') return 'there is no field of this name';
  return `expected ${expected}, found ${shownName(received)}`;
}

/** Keys as one would write them in JavaScript: `transcoders[3].path`. */
function fieldPath(keys: readonly { readonly key: unknown }[]): string {
  let path = '';
  for (const { key } of keys) {
    if (typeof key === 'number') path += `[${key}]`;
    else path += (path === '' ? '' : '.') + shownName(String(key));
  }
  return path;
}
