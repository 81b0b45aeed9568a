import { describe, expect, it } from '@jest/globals';
import { UsageError } from '../../src/errors.ts';
import { loadTokenizer } from '../../src/tokenizer/load.ts';
import type { GoldenPrompt } from '../support/golden.ts';
import { FAMILIES, familyFiles, loadChangedFamily, readFamilyJson } from './support.ts';
import type { Family } from './support.ts';

interface Case {
  readonly text: string;
  readonly model_input: number[];
  readonly pieces: string[];
  readonly attribution_input: number[] | { readonly error: string };
  readonly decoded: string;
  readonly decoded_without_special: string;
  readonly without_special_tokens?: number[];
}

/** Where the reference's calls other than attribution put nothing in front, and where it does so although the files do not. */
const WITHOUT_BOS: readonly Family[] = ['qwen2', 'qwen3', 'gpt-oss'];
const BOS_BY_LIBRARY: readonly Family[] = ['gpt2', 'gpt-neox'];

const FIRST: Readonly<Record<Family, string>> = {
  llama: '<|begin_of_text|>',
  mistral: '<s>',
  gpt2: '<|endoftext|>',
  'gpt-neox': '<|endoftext|>',
  qwen2: '<|endoftext|>',
  qwen3: '<|endoftext|>',
  gemma3: '<bos>',
  'gpt-oss': '<|startoftext|>',
};

describe.each(FAMILIES)('the tokenizer of %s', (family) => {
  const cases = readFamilyJson<Case[]>(family, 'expected', 'tokenization.json');
  const prompts = readFamilyJson<Record<string, GoldenPrompt>>(family, 'expected', 'prompts.json');

  it.each(cases.map((golden) => [JSON.stringify(golden.text), golden] as const))(
    'treats %s as the reference does',
    async (_, golden) => {
      const tokenizer = await loadTokenizer(familyFiles(family));
      const alone = tokenizer.encode(golden.text);
      if (golden.without_special_tokens) expect(alone).toEqual(golden.without_special_tokens);
      if (WITHOUT_BOS.includes(family)) expect(alone).toEqual(golden.model_input);
      else if (BOS_BY_LIBRARY.includes(family)) {
        expect([tokenizer.bosId, ...alone]).toEqual(golden.model_input);
      } else expect(tokenizer.promptIds(golden.text, 'always')).toEqual(golden.model_input);
      expect(tokenizer.pieces(golden.model_input)).toEqual(golden.pieces);
      expect(tokenizer.decode(golden.model_input)).toBe(golden.decoded);
      expect(tokenizer.decode(golden.model_input, { skipSpecialTokens: true })).toBe(
        golden.decoded_without_special,
      );
      if (Array.isArray(golden.attribution_input)) {
        expect(tokenizer.promptIds(golden.text, 'unless_special_first')).toEqual(golden.attribution_input);
      } else expect(golden.text).toBe(''); // no prompt
    },
  );

  it.each(Object.entries(prompts))(
    'gives the tokens, pieces and readable strings of %s',
    async (_, golden) => {
      const tokenizer = await loadTokenizer(familyFiles(family));
      expect(tokenizer.promptIds(golden.text, 'unless_special_first')).toEqual(golden.token_ids);
      expect(tokenizer.pieces(golden.token_ids)).toEqual(golden.token_pieces);
      expect(tokenizer.tokenStrings(golden.token_ids)).toEqual(golden.token_strings);
      expect(tokenizer.decode(golden.token_ids)).toBe(golden.decoded);
    },
  );

  it('puts the token of attribution in front', async () => {
    const tokenizer = await loadTokenizer(familyFiles(family));
    expect(tokenizer.pieces([tokenizer.bosId])).toEqual([FIRST[family]]);
    expect(tokenizer.pieces(tokenizer.promptIds('x', 'unless_special_first')).at(0)).toBe(FIRST[family]);
  });
});

describe('a declared special token', () => {
  it('is cut out of a text, and left out on request, although added_tokens does not list it', async () => {
    const config = {
      tokenizer_class: 'LlamaTokenizer',
      bos_token: '<s>',
      eos_token: '</s>',
      unk_token: '<unk>',
    };
    const tokenizer = await loadChangedFamily('mistral', (json) => (json.added_tokens = []), config);
    // As transformers 4.57.3 does with these files.
    expect(tokenizer.encode('x<s>y')).toEqual([301, 298, 1, 427]);
    expect(tokenizer.encode('a </s> b')).toEqual([305, 301, 2, 301, 315]);
    expect(tokenizer.decode([305, 301, 2, 301, 315])).toBe('a </s>  b');
    expect(tokenizer.decode([301, 298, 1, 427], { skipSpecialTokens: true })).toBe('x y');
  });
});

describe('what stands first in a prompt', () => {
  it.each<[Family, string, boolean]>([
    ['gpt-oss', '<|startoftext|>The cat', true],
    ['qwen3', '<|im_start|>user', false],
    ['gemma3', '<bos>The cat', true],
    ['gemma3', '<start_of_turn>user', false],
  ])('is already there by the rule: %s, %s', async (family, text, isBos) => {
    const tokenizer = await loadTokenizer(familyFiles(family));
    const ids = tokenizer.encode(text);
    expect(tokenizer.promptIds(text, 'always')).toEqual([tokenizer.bosId, ...ids]);
    expect(tokenizer.promptIds(text, 'unless_special_first')).toEqual(ids);
    expect(tokenizer.promptIds(text, 'unless_bos_first')).toEqual(isBos ? ids : [tokenizer.bosId, ...ids]);
  });

  const TEXT = 'The cat';
  const first = async (family: Family, config: object) => {
    const tokenizer = await loadChangedFamily(family, () => {}, config);
    return tokenizer.pieces(tokenizer.promptIds(TEXT, 'unless_special_first'))[0];
  };

  it.each<[string, Family, object, string]>([
    [
      'EOS, not padding, of an instruct Qwen',
      'qwen3',
      {
        tokenizer_class: 'Qwen2Tokenizer',
        bos_token: null,
        eos_token: '<|im_end|>',
        pad_token: '<|endoftext|>',
      },
      '<|im_end|>',
    ],
    [
      'EOS where BOS is not declared',
      'llama',
      { tokenizer_class: 'PreTrainedTokenizerFast', eos_token: '<|eot_id|>' },
      '<|eot_id|>',
    ],
    ['the default of the class', 'gpt2', { tokenizer_class: 'GPT2TokenizerFast' }, '<|endoftext|>'],
    ['the default of a class that no file names', 'gpt2', { model_max_length: 1024 }, '<|endoftext|>'],
    ['the default of a class that is not known', 'gpt2', { tokenizer_class: 'constructor' }, '<|endoftext|>'],
    ['the default of Llama’s class', 'mistral', { tokenizer_class: 'LlamaTokenizerFast' }, '<s>'],
    [
      'the default of a class, beside what is declared',
      'qwen2',
      { tokenizer_class: 'Qwen2Tokenizer', pad_token: '<|im_start|>' },
      '<|endoftext|>',
    ],
  ])('is %s', async (_, family, config, expected) => {
    expect(await first(family, config)).toBe(expected);
  });

  it('must be declared where the class has no default', async () => {
    await expect(first('llama', { tokenizer_class: 'PreTrainedTokenizerFast' })).rejects.toMatchObject({
      exitCode: 4,
      message: expect.stringContaining('tokenizer.json: no bos_token is declared'),
    });
  });

  it('counts as there only when it is declared special', async () => {
    const llama = await loadTokenizer(familyFiles('llama'));
    const header = '<|start_header_id|>user';
    expect(llama.promptIds(header, 'unless_special_first')).toEqual([llama.bosId, ...llama.encode(header)]);
    const ended = '<|end_of_text|>x';
    expect(llama.promptIds(ended, 'unless_special_first')).toEqual(llama.encode(ended));
  });

  it('is nothing, or another token, for who asks for it', async () => {
    const llama = await loadTokenizer(familyFiles('llama'));
    const ids = llama.encode(TEXT);
    const [eot] = llama.encode('<|eot_id|>');
    for (const rule of ['always', 'unless_special_first', 'unless_bos_first'] as const) {
      const input = (text: string, bos: string): number[] => llama.promptIds(text, rule, bos);
      expect(input(TEXT, 'auto')).toEqual([llama.bosId, ...ids]);
      expect(input(TEXT, 'none')).toEqual(ids);
      expect(input(TEXT, '<|eot_id|>')).toEqual([eot, ...ids]);
      expect(input(`<|eot_id|>${TEXT}`, '<|eot_id|>')).toEqual([eot, ...ids]);
      expect(input(`<|end_of_text|>${TEXT}`, '<|eot_id|>')).toEqual([eot, llama.eosId, ...ids]);
      expect(() => input(TEXT, 'two words')).toThrow(UsageError);
    }
  });
});
