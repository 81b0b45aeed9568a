/** Lists where an object belongs, in every kind of schema and in the files that are read through them. */
import { describe, expect, it } from '@jest/globals';
import * as v from 'valibot';
import { EXIT } from '../../src/errors.ts';
import { jsonObject, jsonRecord, looseJsonObject, strictJsonObject } from '../../src/formats/json-object.ts';
import { parseJson } from '../../src/formats/json.ts';
import { parseYaml } from '../../src/formats/yaml.ts';
import { refusal } from './support.ts';

const optional = { a: v.optional(v.number()) };
const schemas: [string, v.GenericSchema][] = [
  ['an object', jsonObject(optional)],
  ['an object with other fields', looseJsonObject(optional)],
  ['an object without other fields', strictJsonObject(optional)],
  ['a record', jsonRecord(v.string(), v.unknown())],
];

describe.each(schemas)('%s', (_, schema) => {
  it.each(['[]', '[1, 2]', '[{"a": 1}]'])('is not the list %s', (text) => {
    const error = refusal(() => parseJson('x.json', text, schema));
    expect(error).toMatchObject({ exitCode: EXIT.badFile, code: 'bad_field' });
    expect(error.message).toBe('x.json: the whole document: expected Object, found Array');
    expect(refusal(() => parseYaml('x.yaml', text, schema))).toMatchObject({ code: 'bad_field' });
  });

  it('is not a list inside either, whose field is named', () => {
    const outer = jsonObject({ inner: v.optional(v.array(schema), []) });
    const error = refusal(() => parseJson('x.json', '{"inner": [{}, []]}', outer));
    expect(error.message).toBe('x.json: field inner[1]: expected Object, found Array');
  });

  it('is not a list as one of several', () => {
    const error = refusal(() =>
      parseJson('x.json', '{"a": []}', jsonObject({ a: v.union([v.string(), schema]) })),
    );
    expect(error.message).toBe('x.json: field a: expected (string | Object), found Array');
    const tolerant = jsonObject({ a: v.fallback(schema, { a: 7 }) });
    expect(parseJson('x.json', '{"a": []}', tolerant)).toEqual({ a: { a: 7 } });
  });

  it('is an object', () => {
    expect(parseJson('x.json', '{"a": 1}', schema)).toEqual({ a: 1 });
    expect(parseJson('x.json', '{}', schema)).toEqual({});
    expect(refusal(() => parseJson('x.json', 'null', schema))).toMatchObject({ code: 'bad_field' });
  });
});
