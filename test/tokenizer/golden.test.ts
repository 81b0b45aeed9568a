import { describe, expect, it } from '@jest/globals';
import { loadTokenizer } from '../../src/tokenizer/load.ts';
import { FIXTURES, PROMPTS, prompts, readGoldenJson } from '../support/golden.ts';
import { goldenFiles } from './support.ts';

interface Case {
  readonly text: string;
  readonly model_input: number[];
  readonly pieces: string[];
  readonly attribution_input: number[] | { readonly error: string };
  readonly decoded: string;
  readonly decoded_without_special: string;
}

describe.each(FIXTURES)('the tokenizer of %s', (fixture) => {
  const cases = readGoldenJson<Case[]>(fixture, 'expected', 'tokenization.json');

  it.each(cases.map((golden) => [JSON.stringify(golden.text), golden] as const))(
    'treats %s as the reference does',
    async (_, golden) => {
      const tokenizer = await loadTokenizer(goldenFiles(fixture));
      const ids = tokenizer.promptIds(golden.text, 'always');
      expect(ids).toEqual(golden.model_input);
      expect(tokenizer.pieces(ids)).toEqual(golden.pieces);
      expect(tokenizer.decode(ids)).toBe(golden.decoded);
      expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe(golden.decoded_without_special);
      if (Array.isArray(golden.attribution_input)) {
        expect(tokenizer.promptIds(golden.text, 'unless_special_first')).toEqual(golden.attribution_input);
      } else expect(golden.text).toBe(''); // no prompt
    },
  );

  it.each(PROMPTS)('gives the tokens, pieces and readable strings of %s', async (name) => {
    const tokenizer = await loadTokenizer(goldenFiles(fixture));
    const golden = prompts(fixture)[name];
    expect(tokenizer.promptIds(golden.text, 'always')).toEqual(golden.token_ids);
    expect(tokenizer.pieces(golden.token_ids)).toEqual(golden.token_pieces);
    expect(tokenizer.tokenStrings(golden.token_ids)).toEqual(golden.token_strings);
    expect(tokenizer.decode(golden.token_ids)).toBe(golden.decoded);
  });

  it('knows the declared special tokens, and that <mask> is none of them', async () => {
    const tokenizer = await loadTokenizer(goldenFiles(fixture));
    const names = tokenizer.pieces([...tokenizer.specialIds]).sort();
    expect(names).toEqual(['<bos>', '<end_of_turn>', '<eos>', '<pad>', '<start_of_turn>', '<unk>']);
    expect(tokenizer.pieces([tokenizer.bosId, tokenizer.eosId])).toEqual(['<bos>', '<eos>']);
  });
});
