/** Files, helper of JSON and YAML: schemas of objects. Valibot's own take a list for an object without the fields. */
import * as v from 'valibot';

/** An object with these fields; others are left out. */
export function jsonObject<E extends v.ObjectEntries>(entries: E): v.ObjectSchema<E, undefined> {
  return notList(v.object(entries));
}

/** An object with these fields, and any others. */
export function looseJsonObject<E extends v.ObjectEntries>(entries: E): v.LooseObjectSchema<E, undefined> {
  return notList(v.looseObject(entries));
}

/** An object with these fields and no others. */
export function strictJsonObject<E extends v.ObjectEntries>(entries: E): v.StrictObjectSchema<E, undefined> {
  return notList(v.strictObject(entries));
}

/**
 * An object with any fields, as it is: where fields are data, valibot's own would leave out those that are called `constructor`,
 * `prototype` or `__proto__`. What they hold is the caller's to check.
 */
export function anyJsonObject<T extends object>(): v.CustomSchema<T, undefined> {
  const isObject = (value: unknown): boolean =>
    typeof value === 'object' && value !== null && !Array.isArray(value);
  return Object.assign(v.custom<T>(isObject), { expects: 'Object' });
}

type KeySchema = v.GenericSchema<string, string | number | symbol>;

/** An object with any fields. */
export function jsonRecord<K extends KeySchema, V extends v.GenericSchema>(
  key: K,
  value: V,
): v.RecordSchema<K, V, undefined> {
  return notList(v.record(key, value));
}

/** Changes a schema that was made here, so that a list is no object. */
function notList<S extends v.GenericSchema>(schema: S): S {
  const run = schema['~run'].bind(schema);
  return Object.assign(schema, {
    '~run': (dataset: v.UnknownDataset, config: v.Config<v.BaseIssue<unknown>>) => {
      if (!Array.isArray(dataset.value)) return run(dataset, config);
      v._addIssue(schema, 'type', dataset, config);
      return dataset as unknown as ReturnType<typeof run>; // with the issue, which its type does not show
    },
  });
}
