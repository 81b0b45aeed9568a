import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { cleanUp, settledLength } from '../../src/tokenizer/clean-up.ts';
import { loadTokenizer } from '../../src/tokenizer/load.ts';
import { familyFiles, loadChangedFamily } from './support.ts';

const CHARS = [' ', ' ', ' ', "'", "'", '.', '?', '!', ',', 'n', 't', 'm', 's', 'v', 'r', 'e', 'x', '\n'];
const text = fc.array(fc.constantFrom(...CHARS), { maxLength: 24 }).map((chars) => chars.join(''));

describe('cleaning spaces up', () => {
  it.each([
    ['The end . Is it ? No ! a , b', 'The end. Is it? No! a, b'],
    ["I do n't , she 's here , we 've , you 're , I 'm", "I don't, she's here, we've, you're, I'm"],
    ["a ' b", "a'b"],
    // The apostrophe loses its spaces first, and what then stands there is replaced too.
    ["a  ' s", "a's"],
    ['a  .', 'a .'],
  ])('makes of %j what transformers makes: %j', (original, expected) => {
    expect(cleanUp(original)).toBe(expected);
  });

  it('can be done at the beginning of a text, whatever follows', () => {
    fc.assert(
      fc.property(text, text, (known, following) => {
        const settled = settledLength(known);
        const [done, open] = [known.slice(0, settled), known.slice(settled)];
        expect(cleanUp(done) + cleanUp(open + following)).toBe(cleanUp(known + following));
      }),
      { numRuns: 20_000 },
    );
  });

  it('holds words back only where something may be replaced', () => {
    expect(settledLength('Hello world')).toBe('Hello world'.length);
    expect(settledLength('Hello ')).toBe('Hello'.length);
    expect(settledLength("do n't")).toBe('do'.length);
    expect(settledLength('on no')).toBe(0);
  });

  it('is done where tokenizer_config.json asks for it', async () => {
    const cleaned = await loadTokenizer(familyFiles('llama'));
    const bos = '<|begin_of_text|>';
    const asItIs = await loadChangedFamily('llama', () => {}, { bos_token: bos, eos_token: bos });
    const ids = cleaned.encode('x . y');
    expect(cleaned.decode(ids)).toBe('x. y');
    expect(asItIs.decode(ids)).toBe('x . y');
  });
});
