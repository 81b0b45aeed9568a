import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { BadFileError, EXIT, NotFoundError } from '../../src/errors.ts';
import { memorySource } from '../../src/formats/byte-source.ts';
import { parseJson, readJson } from '../../src/formats/json.ts';
import { parseYaml, readYaml } from '../../src/formats/yaml.ts';
import { PAGES, POINTER } from './saved-instead.ts';
import { gemmaScopePath, GOLDEN, refusal, refusalOf, temporaryFolder } from './support.ts';

const setSchema = v.object({
  model_name: v.string(),
  model_kind: v.picklist(['transcoder_set', 'cross_layer_transcoder']),
  transcoders: v.optional(v.array(v.string())),
});

describe('JSON and YAML files', () => {
  it('are read into the type of the schema', async () => {
    const config = await readJson(
      join(GOLDEN, 'tiny-a/model/config.json'),
      v.object({ hidden_size: v.number() }),
    );
    expect(config).toEqual({ hidden_size: 32 });
    const set = await readYaml(join(GOLDEN, 'tiny-b/transcoders/gemmascope/config.yaml'), setSchema);
    expect(set.model_kind).toBe('transcoder_set');
    expect(set.transcoders).toHaveLength(3);
    expect(gemmaScopePath('tiny-b', 2)).toContain(set.transcoders![2]!);
  });

  it('may come from any source of bytes, with a byte order mark', async () => {
    const source = memorySource('config.json', Buffer.from('\ufeff{"a":1}'));
    expect(await readJson(source, v.object({ a: v.number() }))).toEqual({ a: 1 });
  });

  it.each([
    ['config.json', readJson],
    ['config.yaml', readYaml],
  ] as const)('are refused when missing, too large or not UTF-8 (%s)', async (name, read) => {
    using folder = temporaryFolder();
    const path = join(folder.path, name);
    const missing = await refusalOf(read(path, v.unknown()));
    expect(missing).toBeInstanceOf(NotFoundError);
    expect(missing.message).toContain(path);
    writeFileSync(path, Uint8Array.of(0x22, 0xff, 0x22));
    expect(await refusalOf(read(path, v.unknown()))).toMatchObject({
      exitCode: EXIT.badFile,
      code: 'not_utf8',
    });
    truncateSync(path, 2 ** 32); // takes no place on the disk
    const large = await refusalOf(read(path, v.unknown()));
    expect(large).toMatchObject({ exitCode: EXIT.badFile, code: 'file_too_large' });
    expect(large.message).toContain(path);
  });

  const fields: [string, unknown, string, string][] = [
    [
      'a wrong element',
      { model_kind: 'transcoder_set', transcoders: ['a', 'b', 'c', 4] },
      'transcoders[3]',
      'found 4',
    ],
    ['a wrong choice', { model_kind: 'transcoder' }, 'model_kind', '"cross_layer_transcoder"'],
    ['a missing key', {}, 'model_kind', 'found undefined'],
    ['two faults', { model_kind: 1, transcoders: 2 }, 'model_kind', '(and 1 more)'],
  ];
  it.each(fields)('name file, field, what was expected and found: %s', (_, value, field, found) => {
    const text = JSON.stringify({ model_name: 'x', ...(value as object) });
    for (const parse of [parseJson, parseYaml]) {
      const error = refusal(() => parse('some/config', text, setSchema));
      expect(error).toBeInstanceOf(BadFileError);
      expect(error).toMatchObject({ exitCode: EXIT.badFile, code: 'bad_field' });
      expect(error.message).toContain(`some/config: field ${field}: expected`);
      expect(error.message).toContain(found);
    }
  });

  it('name the field of a value with several forms in the form that it fits furthest', () => {
    const schema = v.union([
      v.object({ labels: v.record(v.string(), v.string()) }),
      v.record(v.string(), v.string()),
      v.string(),
    ]);
    expect(refusal(() => parseJson('x.json', '{"1_9":7}', schema)).message).toBe(
      'x.json: field 1_9: expected string, found 7',
    );
    expect(refusal(() => parseJson('x.json', '{"labels":{"1_9":7}}', schema)).message).toBe(
      'x.json: field labels.1_9: expected string, found 7',
    );
    expect(refusal(() => parseJson('x.json', '7', schema)).message).toMatch(
      /^x.json: the whole document: expected /,
    );
  });

  it('name the whole document when it is of another kind, and repeat the words of a schema', () => {
    expect(refusal(() => parseJson('x.json', '3', setSchema)).message).toContain(
      'the whole document: expected Object',
    );
    const even = v.object({
      n: v.pipe(
        v.number(),
        v.check((n) => n % 2 === 0, 'n must be even'),
      ),
    });
    expect(refusal(() => parseJson('x.json', '{"n":3}', even)).message).toBe(
      'x.json: field n: n must be even',
    );
  });
});

describe('JSON', () => {
  it('is refused with the place of the mistake', () => {
    const error = refusal(() => parseJson('x.json', '{"a": }', v.unknown()));
    expect(error).toMatchObject({ exitCode: EXIT.badFile, code: 'json_syntax' });
    expect(error.message).toMatch(/x\.json is not JSON: .*\}/);
  });
});

describe('Numbers of Python that JSON does not have', () => {
  const texts: [string, string, string][] = [
    ['{"a": NaN}', 'NaN', 'line 1, column 7'],
    ['{\n  "a": 1,\n  "b": [0.5, Infinity]\n}', 'Infinity', 'line 3, column 14'],
    ['{"a": "NaN, \\" NaN",\n"b": -Infinity}', '-Infinity', 'line 2, column 6'],
    ['{"a": "Infinity",\r\n "b": NaN, "c": Infinity}', 'NaN', 'line 2, column 7'],
    ['NaN', 'NaN', 'line 1, column 1'],
    // Before another mistake, or where the text ends.
    ['{"a": NaN, }', 'NaN', 'line 1, column 7'],
    ['{"a": [{"b": -Infinity x', '-Infinity', 'line 1, column 14'],
    ['{"a": {}, "b": [1, [2], Infinity,]} }', 'Infinity', 'line 1, column 25'],
  ];
  it.each(texts)('are named with their place: %j', (text, word, place) => {
    const error = refusal(() => parseJson('config.json', text, v.unknown()));
    expect(error).toMatchObject({ exitCode: EXIT.badFile, code: 'json_syntax' });
    expect(error.message).toContain(
      `config.json is not JSON: ${place} has ${word}. Python writes NaN and Infinity`,
    );
    expect(error.hint).toContain('null');
  });

  it('are counted from the line of the file that a part of it begins in', () => {
    const error = refusal(() => parseJson('prompts.jsonl, line 7', '{"a": NaN}', v.unknown(), 7));
    expect(error.message).toContain('line 7, column 7 has NaN');
  });

  const others = [
    '{"a": "NaN"',
    '{"a": NaNs}',
    '{"a": "NaN',
    '{"a": nan}',
    '{"a" 1, "b": NaN}',
    '{NaN: 1}',
    '[1}, NaN]',
  ];
  it.each(others)('are not blamed for other mistakes: %s', (text) => {
    const error = refusal(() => parseJson('config.json', text, v.unknown()));
    expect(error).toMatchObject({ code: 'json_syntax' });
    expect(error.message).not.toContain('Python');
  });
});

describe('A page or a pointer that was saved as a text file', () => {
  const readers = [
    ['config.json', readJson],
    ['config.yaml', readYaml],
  ] as const;
  it.each(
    readers.flatMap(([name, read]) => PAGES.map(([title, page]) => [title, name, page, read] as const)),
  )('is said to be an HTML page: %s as %s', async (_, name, page, read) => {
    const error = await refusalOf(read(memorySource(name, page), v.unknown()));
    expect(error).toMatchObject({ exitCode: EXIT.badFile, code: 'unknown_format' });
    expect(error.message).toContain(`${name} is an HTML page`);
  });

  it.each(readers)('is said to be a Git LFS pointer (%s)', async (name, read) => {
    const error = await refusalOf(read(memorySource(name, Buffer.from(POINTER)), v.unknown()));
    expect(error).toMatchObject({ exitCode: EXIT.badFile, code: 'unknown_format' });
    expect(error.message).toContain(`${name} is a Git LFS pointer`);
    expect(error.hint).toContain('git lfs pull');
  });

  it('is said to be an XML document where it is one', async () => {
    const page = Buffer.from('<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>');
    expect((await refusalOf(readJson(memorySource('a.json', page), v.unknown()))).message).toContain(
      'an XML document',
    );
  });
});

describe('YAML', () => {
  const laughs = Array.from({ length: 12 }, (_, i) => `l${i + 1}: &l${i + 1} [${`*l${i},`.repeat(9)}]`).join(
    '\n',
  );
  const refused: [string, string][] = [
    ['a mistake in the syntax', 'a: [1, 2'],
    ['a key given twice', 'a: 1\na: 2'],
    ['a tag of another program', '!!python/object/apply:os.system ["id"]'],
    ['aliases that multiply', `l0: &l0 x\n${laughs}`],
    ['an alias of nothing', 'a: *b'],
    ['two documents', 'a: 1\n---\nb: 2'],
    ['lists without end', '['.repeat(20_000)],
  ];
  it.each(refused)('is refused for %s, in one line', (_, text) => {
    const error = refusal(() => parseYaml('config.yaml', text, v.unknown()));
    expect(error).toBeInstanceOf(BadFileError);
    expect(error).toMatchObject({ exitCode: EXIT.badFile, code: 'yaml_syntax' });
    expect(error.message).toMatch(/^config\.yaml is not plain YAML: [^\n]+$/);
  });

  it('reads a few anchors, and keeps a dangerous key harmless', () => {
    const value = parseYaml('x.yaml', 'a: &a [1]\nb: *a\n__proto__: {polluted: true}', v.unknown());
    expect(value).toMatchObject({ a: [1], b: [1] });
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  it('gives a value or a typed error for any text', () => {
    const texts = fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.array(fc.constantFrom(...'abc:-[]{}&*!|>?,#\'"%@\n\t \\01~')).map((signs) => signs.join('')),
    );
    fc.assert(
      fc.property(texts, (text) => {
        for (const parse of [parseYaml, parseJson]) {
          let outcome: unknown;
          try {
            outcome = { value: parse('any', text, v.unknown()) };
          } catch (error) {
            outcome = error;
          }
          expect(outcome instanceof BadFileError || Object.hasOwn(outcome as object, 'value')).toBe(true);
        }
      }),
      { numRuns: 400 },
    );
  });
});
