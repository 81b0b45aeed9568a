/** Graph, provenance: the schema of the metadata in a graph file. */

import * as v from 'valibot';
import { BadFileError } from '../errors.ts';
import { jsonObject } from '../formats/json-object.ts';
import type { Provenance } from './graph.ts';

const UNKNOWN = 'unknown';
const text = v.optional(v.string(), UNKNOWN);
const textOrNull = v.optional(v.nullable(v.string()), null);
const source = v.optional(
  jsonObject({
    name: text,
    revision: textOrNull,
    config_sha256: textOrNull,
    weight_files: v.optional(v.array(v.string())),
  }),
  () => ({}),
);
/** The text was parsed as JSON, so every value is a `JsonValue`. */
const options = v.custom<Readonly<Record<string, unknown>>>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
);

/** Every field may be missing: a graph can be used without its provenance. Types are checked. */
export const provenanceSchema = jsonObject({
  tracer_version: text,
  model: source,
  transcoders: source,
  backend: text,
  device: text,
  dtype: text,
  options: v.optional(options, () => ({})),
  prompt: v.optional(v.string()),
  token_strings: v.optional(v.array(v.string())),
  logit_labels: v.optional(v.array(v.string())),
  vocabulary_size: v.optional(v.nullable(v.pipe(v.number(), v.integer(), v.minValue(0))), null),
  scan: text,
  created: text,
  scores: v.optional(jsonObject({ replacement: v.number(), completeness: v.number() })),
});

/** Names tokens and logits by their ids where the file does not; throws `BadFileError` when it names too few or too many. */
export function namedProvenance(
  file: string,
  read: v.InferOutput<typeof provenanceSchema>,
  tokens: Int32Array,
  logits: Int32Array,
): Provenance {
  const token_strings = names(file, 'token_strings', read.token_strings, tokens);
  return {
    ...read,
    options: read.options as Provenance['options'],
    token_strings,
    logit_labels: names(file, 'logit_labels', read.logit_labels, logits),
    prompt: read.prompt ?? token_strings.join(''),
  };
}

function names(file: string, field: string, given: string[] | undefined, ids: Int32Array): string[] {
  if (given === undefined) return Array.from(ids, (id) => `#${id}`);
  if (given.length === ids.length) return given;
  throw new BadFileError({
    code: 'graph_provenance',
    message: `${file}: metadata provenance names ${given.length} ${field}, but the graph has ${ids.length}.`,
    hint: 'The file is damaged. Attribute the prompt again.',
  });
}
