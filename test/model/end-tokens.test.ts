import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { openFileSource } from '../../src/formats/byte-source.ts';
import { readConfig } from '../../src/model/checkpoint.ts';
import { readEndTokens } from '../../src/model/end-tokens.ts';
import type { FileSet } from '../../src/model/file-set.ts';
import { goldenPath } from '../support/golden.ts';
import { scratchFolder } from '../support/scratch.ts';

const CONFIG = JSON.parse(readFileSync(goldenPath('tiny-a', 'model', 'config.json'), 'utf8')) as Record<
  string,
  unknown
>;

/** What is found with `eos_token_id` as given; `'absent'`: the file, or without one the field, is not there. */
async function endTokens(generationConfig: unknown, config: unknown): Promise<readonly number[]> {
  using scratch = scratchFolder();
  const write = (name: string, content: unknown) =>
    writeFileSync(
      path.join(scratch.path, name),
      typeof content === 'string' ? content : JSON.stringify(content),
    );
  const { eos_token_id: _, ...others } = CONFIG;
  write('config.json', config === 'absent' ? others : { ...others, eos_token_id: config });
  if (generationConfig !== 'absent') write('generation_config.json', generationConfig);
  const files: FileSet = {
    name: 'm',
    has: (name) => existsSync(path.join(scratch.path, name)),
    open: (name) => openFileSource(path.join(scratch.path, name)),
  };
  return await readEndTokens(files, await readConfig(files));
}

const eos = (eos_token_id: unknown) => ({ bos_token_id: 2, eos_token_id, pad_token_id: 0 });

describe('the tokens that end a text', () => {
  it.each<[string, unknown, unknown, number[]]>([
    ['one id in config.json', 'absent', 483, [483]],
    ['a list in config.json', 'absent', [1, 483], [1, 483]],
    ['no end in config.json', 'absent', null, []],
    ["the family's own, where config.json lacks the field", 'absent', 'absent', [1]],
    ['one id in generation_config.json', eos(483), 'absent', [483]],
    ['a list in generation_config.json', eos([1, 483]), 1, [1, 483]],
    ['generation_config.json where they differ', eos(483), [1, 290], [483]],
    ['generation_config.json where it names no end', eos(null), 1, []],
    ['generation_config.json where it lacks the field', { bos_token_id: 2 }, 1, []],
    ['an empty list', eos([]), 1, []],
    ['the last id of the vocabulary', eos([559]), 1, [559]],
    ['an id beyond the vocabulary, with which no text ends', eos([1, 560]), 1, [1, 560]],
  ])('are, as in transformers, those of: %s', async (_, generationConfig, config, expected) => {
    expect(await endTokens(generationConfig, config)).toEqual(expected);
  });

  it.each<[string, unknown, RegExp]>([
    ['a text', '1', /found "1"/],
    ['a list with a text', [1, '<eos>'], /found \[1, "<eos>"\]/],
    ['a negative id', -1, /found -1/],
    ['a fraction', [1, 1.5], /found \[1, 1\.5\]/],
    [
      'an id that no vocabulary has',
      [1, 2 ** 60],
      /from 0 on or a list of them, found \[1, 1152921504606847000\]/,
    ],
    ['a list in a list', [[1]], /found \[a list\]/],
    ['an object', { id: 1 }, /found an object/],
    ['true', true, /found true/],
  ])('are refused by file and field: %s', async (_, value, found) => {
    for (const [file, load] of [
      ['generation_config.json', () => endTokens(eos(value), 1)],
      ['config.json', () => endTokens('absent', value)],
    ] as const) {
      const error: unknown = await load().catch((reason: unknown) => reason);
      expect(error).toMatchObject({
        exitCode: 4,
        code: 'bad_eos_token',
        hint: expect.stringMatching(/--no-stop-at-eos/),
      });
      expect((error as Error).message).toMatch(found);
      expect((error as Error).message).toContain(`${file}: field eos_token_id: expected a token id`);
    }
  });

  it('are refused with a damaged generation_config.json', async () => {
    await expect(endTokens('{"eos_token_id": 1', 1)).rejects.toMatchObject({
      exitCode: 4,
      code: 'json_syntax',
    });
    await expect(endTokens('"eos"', 1)).rejects.toMatchObject({ exitCode: 4 });
  });
});
