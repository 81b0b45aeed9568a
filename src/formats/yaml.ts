/** Files, step 4 (YAML): a text to a checked value. Only plain data: no tags of other programs, a limit on aliases. */
import { parseDocument } from 'yaml';
import { BadFileError } from '../errors.ts';
import type { ByteSource } from './byte-source.ts';
import { checkSchema, readText } from './parsed-text.ts';
import type { Schema } from './parsed-text.ts';
import { savedInstead } from './saved-instead.ts';
import { messageOf } from './system-errors.ts';

/** A `config.yaml` of a transcoder set lists some dozens of files. */
const LARGEST_YAML_BYTES = 2 ** 20;
/** Nodes that aliases may stand for in all; a set's configuration has none. */
const MOST_ALIASED_NODES = 100;

/** Reads and checks a YAML file. Throws `NotFoundError`, or `BadFileError` that names the file and the field. */
export async function readYaml<T>(sourceOrPath: ByteSource | string, schema: Schema<T>): Promise<T> {
  const name = typeof sourceOrPath === 'string' ? sourceOrPath : sourceOrPath.name;
  return parseYaml(name, await readText(sourceOrPath, LARGEST_YAML_BYTES), schema);
}

/** As `readYaml`, for a text that is there already; `name` is what errors call it. */
export function parseYaml<T>(name: string, text: string, schema: Schema<T>): T {
  // A Git LFS pointer is valid YAML as well.
  const instead = savedInstead(name, text, 'YAML');
  if (instead) throw instead;
  return checkSchema(name, plainValue(name, text), schema);
}

/** The text of a YAML file with another value of a field; comments and everything else stay. */
export async function yamlWith(path: string, field: string, value: string): Promise<string> {
  const document = parseDocument(await readText(path, LARGEST_YAML_BYTES));
  document.set(field, value);
  return String(document);
}

function plainValue(name: string, text: string): unknown {
  try {
    const document = parseDocument(text, { logLevel: 'error', schema: 'core', uniqueKeys: true });
    // An unknown tag such as `!!python/object` is only a warning to the parser.
    const fault = document.errors[0] ?? document.warnings[0];
    if (fault) throw fault;
    return document.toJS({ maxAliasCount: MOST_ALIASED_NODES });
  } catch (cause) {
    const [firstLine] = messageOf(cause).split('\n');
    throw new BadFileError({
      code: 'yaml_syntax',
      message: `${name} is not plain YAML: ${firstLine}`,
      hint: 'Correct the file, or fetch it again.',
      cause,
    });
  }
}
