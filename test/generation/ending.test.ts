import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Endings, type Ending } from '../../src/generation/ending.ts';
import { loadTokenizer } from '../../src/tokenizer/load.ts';
import { goldenFiles } from '../tokenizer/support.ts';

const tokenizer = await loadTokenizer(goldenFiles('tiny-a'));
const [EOS, END_OF_TURN] = [1, 6];

/** How many tokens of a continuation are taken, and what ended it. */
function taken(
  continuation: readonly number[],
  options: ConstructorParameters<typeof Endings>[2],
  prompt: readonly number[] = tokenizer.promptIds('The cat', 'always'),
): [number: number, ending: Ending | null] {
  const endings = new Endings(tokenizer, prompt, options);
  for (const [i, token] of continuation.entries()) {
    const ending = endings.next(token);
    if (ending !== null) return [i + 1, ending];
  }
  return [continuation.length, null];
}

describe('a continuation ends', () => {
  it('at each of the end tokens, and not without them', () => {
    const tokens = [300, 301, 483, 302, EOS];
    expect(taken(tokens, { endTokens: [EOS, 483] })).toEqual([3, { kind: 'eos', token: 483 }]);
    expect(taken(tokens, { endTokens: [EOS] })).toEqual([5, { kind: 'eos', token: EOS }]);
    expect(taken(tokens, {})).toEqual([5, null]);
  });

  it.each([
    ['that is one token', ' capital', ' of'],
    ['over several tokens', 'dog. Then', ' of'],
    ['that ends inside a token', 'the capi', ' of'],
    ['that begins inside a token', 'pital of', 'state'],
    ['inside a token', 'pit', ' of'],
    ['of bytes that are no tokens', '🦊é', 'x'],
    ['with line feeds', 'a\n\nb', 'c'],
  ])('with a text %s', (_, wanted, after) => {
    const before = 'the dog. Then the ';
    const text = before + wanted + after;
    const tokens = tokenizer.encode(text);
    const [n, ending] = taken(tokens, { stopTexts: ['nowhere', wanted] });
    expect(ending).toEqual({ kind: 'text', text: wanted });
    // The first token with which the text is there.
    expect(tokenizer.decode(tokens.slice(0, n))).toContain(wanted);
    expect(tokenizer.decode(tokens.slice(0, n - 1))).not.toContain(wanted);
  });

  it('with a text of special tokens, which are not shown', () => {
    const tokens = [...tokenizer.encode(' Hello'), END_OF_TURN, ...tokenizer.encode('there')];
    const at = tokens.indexOf(END_OF_TURN) + 1;
    const text = '<end_of_turn>';
    expect(taken(tokens, { stopTexts: [text] })).toEqual([at, { kind: 'text', text }]);
    expect(taken(tokens, { stopTexts: ['o<end_of_turn>t'] })[0]).toBe(at + 1);
    // As it is shown the text goes on without it.
    expect(taken(tokens, { stopTexts: ['Hellot'] })[0]).toBe(at + 1);
  });

  it('with what the continuation has, not the prompt', () => {
    const prompt = tokenizer.promptIds('The end. The e', 'always');
    const tokens = tokenizer.encode('nd. The end. x');
    const [n] = taken(tokens, { stopTexts: ['end.'] }, prompt);
    expect(tokenizer.decode(tokens.slice(0, n))).toBe('nd. The end.');
  });

  it('as the whole text says, whatever the tokens and the text', () => {
    const token = fc.nat(tokenizer.vocabularySize - 1);
    fc.assert(
      fc.property(
        fc.array(token, { minLength: 1, maxLength: 30 }),
        fc.array(fc.tuple(fc.nat(100), fc.integer({ min: 1, max: 9 })), { minLength: 1, maxLength: 3 }),
        (tokens, places) => {
          const whole = tokenizer.decode(tokens);
          const stopTexts = places.map(([at, n]) => whole.slice(at % whole.length, (at % whole.length) + n));
          const has = (n: number): boolean =>
            [true, false].some((skipSpecialTokens) => {
              const text = tokenizer.decode(tokens.slice(0, n), { skipSpecialTokens });
              return stopTexts.some((wanted) => text.includes(wanted));
            });
          const first = tokens.findIndex((_, i) => has(i + 1)) + 1;
          expect(taken(tokens, { stopTexts }, [])[0]).toBe(first === 0 ? tokens.length : first);
        },
      ),
      { numRuns: 500 },
    );
  });
});
