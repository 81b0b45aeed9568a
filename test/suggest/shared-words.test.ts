import { describe, expect, it } from '@jest/globals';
import { exampleWords } from '../../src/suggest/example-words.ts';
import type { Example } from '../../src/suggest/known.ts';
import { sharedWords, withSharedWords } from '../../src/suggest/shared-words.ts';

/** A text whose peak is the token with a star. */
function example(text: string, activation = 1): Example {
  const tokens = text.match(/<\w+>|\s?[^\s<]+/g)!;
  const peak = tokens.findIndex((token) => token.endsWith('*'));
  return {
    tokens: tokens.map((token) => token.replace('*', '')),
    activations: tokens.map((_, i) => (i === peak ? activation : 0)),
    peak,
  };
}

const shareOf = (examples: readonly Example[], word: string): number | undefined =>
  exampleWords([examples]).shares[0]!.get(word);

describe('words of examples', () => {
  it('have the share of the activation that is in texts with them', () => {
    const examples = [example('Dallas* is in Texas .', 3), example('Reno* is in Nevada .', 1)];
    expect(shareOf(examples, 'Texas')).toBe(0.75);
    expect(shareOf(examples, 'is')).toBe(1);
    expect(shareOf(examples, 'Ohio')).toBeUndefined();
  });

  it('are whole ones near the peak, also where a token is a part of one', () => {
    const far = `Ohio ${'so '.repeat(12)}`;
    const parts: Example = { ...example('x* Tex as'), tokens: ['x', ' Tex', 'as'] };
    expect([...exampleWords([[parts]]).shares[0]!.keys()]).toEqual(['x', 'Texas']);
    expect(shareOf([example(`${far}Dallas* in Texas`)], 'Ohio')).toBeUndefined();
    const cut: Example = { tokens: ['Oh', ...Array<string>(10).fill('io'), ' x'], activations: [], peak: 11 };
    expect([
      ...exampleWords([[{ ...cut, activations: Array<number>(12).fill(1) }]]).shares[0]!.keys(),
    ]).toEqual(['x']);
  });

  it('are none of special tokens, nor what an apostrophe cuts off', () => {
    const examples = [example("<bos>Texas 's capital* is Austin <eos>")];
    const glued: Example = { tokens: ["Texas's", ' x'], activations: [1, 1], peak: 1 };
    expect([...exampleWords([examples]).shares[0]!.keys()]).not.toContain('bos');
    expect([...exampleWords([[glued]]).shares[0]!.keys()]).toEqual(['Texas', 'x']);
  });

  it('count a text that a page shows twice once, and have a frequency among all texts', () => {
    const [dallas, reno] = [example('Dallas* in Texas', 1), example('Reno* in Nevada', 1)];
    const { shares, frequency } = exampleWords([[dallas, dallas, reno], [dallas], []]);
    expect(shares[0]!.get('Texas')).toBe(0.5);
    expect(shares[2]!.size).toBe(0);
    expect(frequency('Texas')).toBeCloseTo((1 + 1) / (1 + 2), 12);
    expect(frequency('Ohio')).toBeCloseTo(1 / (1 + 2), 12);
  });

  it('of a page without activation are none', () => {
    expect(exampleWords([[example('Dallas* in Texas', 0)]]).shares[0]!.size).toBe(0);
  });
});

describe('words that features share', () => {
  const rare = (_word: string): number => 0.01;
  const feature = (influence: number, shares: Record<string, number>) => ({
    influence,
    shares: new Map(Object.entries(shares)),
  });
  const shared = (
    features: readonly ReturnType<typeof feature>[],
    frequency = rare,
    known: string[] = [],
  ): string[] => sharedWords(features, frequency, new Set(known)).map(({ word }) => word);

  it('are those of features with half of the influence, the most telling first', () => {
    const features = [feature(3, { Texas: 0.6, Reno: 0.4 }), feature(2, { Texas: 0.5, Austin: 0.9 })];
    expect(shared(features)).toEqual(['Texas']);
    expect(
      shared([
        feature(1, { Texas: 0.5, Dallas: 0.45, Waco: 0.4 }),
        feature(1, { Texas: 0.5, Dallas: 0.4, Waco: 0.4 }),
      ]),
    ).toEqual(['Texas', 'Dallas']);
    expect(
      shared([feature(1, { Texas: 0.8, Dallas: 0.2 }), feature(1, { Texas: 0.8, Dallas: 0.2 })]),
    ).toEqual(['Texas']);
  });

  it('are none that are as frequent elsewhere, and none that are known', () => {
    const features = [feature(1, { is: 0.9, Texas: 0.5 }), feature(1, { is: 0.9, Texas: 0.4 })];
    expect(shared(features, (word) => (word === 'is' ? 0.8 : 0.05))).toEqual(['Texas']);
    expect(shared(features, rare, ['Texas'])).toEqual(['is']);
  });

  it('of one feature are in half of its texts', () => {
    expect(shared([feature(1, { Texas: 0.45 })])).toEqual([]);
    expect(shared([feature(1, { Texas: 0.55 })])).toEqual(['Texas']);
    expect(shared([feature(1, {}), feature(9, {})])).toEqual([]);
  });
});

describe('names with shared words', () => {
  const word = (text: string, told: number) => ({ word: text, told });

  it('give a word to the box that it tells most about', () => {
    const boxes = [
      { name: 'cities', shared: [word('Texas', 1)] },
      { name: 'reads Dallas', shared: [word('Texas', 2), word('Houston', 1.5)] },
      { name: 'states', shared: [] },
    ];
    expect(withSharedWords(boxes)).toEqual(['cities', 'Texas, Houston (reads Dallas)', 'states']);
  });

  it('do not repeat a word of another name, nor go on to a second one', () => {
    const boxes = [
      { name: 'cities', shared: [word('Texas', 2), word('Houston', 1)] },
      { name: 'say Texas and its cities', shared: [] },
    ];
    expect(withSharedWords(boxes)).toEqual(['cities', 'say Texas and its cities']);
  });

  it('are cut where they are long, as a word is that is a sentence', () => {
    const [name] = withSharedWords([
      { name: 'cities of the United States', shared: [word('字'.repeat(200), 1)] },
    ]);
    expect(name).toBe(`${'字'.repeat(59)}…`);
  });
});
