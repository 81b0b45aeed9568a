/** Interventions, step 1 of 4: their JSON form, as files and the lines of a batch have it. */
import * as v from 'valibot';
import { BadFileError, UsageError } from '../errors.ts';
import { jsonObject } from '../formats/json-object.ts';
import { readJson } from '../formats/json.ts';
import type { Change, Intervention } from './intervention.ts';
import { parseIntervention } from './text-form.ts';

const Integer = v.pipe(v.number(), v.integer());

const Range = jsonObject({
  start: v.optional(v.nullable(Integer)),
  stop: v.optional(v.nullable(Integer)),
});

const Entry = v.pipe(
  jsonObject({
    layer: Integer,
    pos: v.union([Integer, Range]),
    feature: Integer,
    value: v.optional(v.number()),
    scale: v.optional(v.number()),
    add: v.optional(v.number()),
  }),
  v.check(
    ({ value, scale, add }) => [value, scale, add].filter((given) => given !== undefined).length === 1,
    'exactly one of value, scale and add is expected',
  ),
);

/** `[{"layer":0,"pos":8,"feature":104,"value":30.9}, "0:8:104=*-2"]`: entries, or their text form. */
export const InterventionList = v.array(v.union([v.string(), Entry]));

export function interventionsFromJson(
  list: v.InferOutput<typeof InterventionList>,
  name: string,
): Intervention[] {
  return list.map((entry): Intervention => {
    if (typeof entry === 'string') return parseIntervention(name, entry);
    const { layer, pos, feature } = entry;
    const positions = typeof pos === 'number' ? pos : { start: pos.start ?? 0, stop: pos.stop ?? null };
    return { layer, pos: positions, feature, change: changeOf(entry) };
  });
}

/** Reads a file. Throws `NotFoundError` without it, `UsageError` for a file that is not a list of interventions. */
export async function readInterventions(path: string): Promise<Intervention[]> {
  return interventionsFromJson(await asUsage(() => readJson(path, InterventionList)), path);
}

const HOW_ONE_IS_WRITTEN =
  'An intervention is written as {"layer":0,"pos":8,"feature":104,"value":30.9}, or "0:8:104=30.9".';

/** Users write such files by hand, so errors in them are usage errors, as in a flag. A page or pointer saved as one is not. */
export async function asUsage<T>(read: () => T | Promise<T>, hint = HOW_ONE_IS_WRITTEN): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof BadFileError) || error.code === 'unknown_format') throw error;
    const { code, message } = error;
    throw new UsageError({ code, message, hint, cause: error });
  }
}

function changeOf({ value, scale, add }: v.InferOutput<typeof Entry>): Change {
  if (value !== undefined) return { kind: 'set', value };
  return scale !== undefined ? { kind: 'scale', factor: scale } : { kind: 'add', amount: add! };
}
