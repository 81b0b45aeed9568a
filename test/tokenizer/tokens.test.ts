import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { UsageError } from '../../src/errors.ts';
import { withBos } from '../../src/tokenizer/bos.ts';
import { loadTokenizer } from '../../src/tokenizer/load.ts';
import { parseTokenIds } from '../../src/tokenizer/token-ids.ts';
import { goldenFiles, loadChanged } from './support.ts';

const tokenizer = await loadTokenizer(goldenFiles('tiny-a'));

describe('the BOS token', () => {
  const special = { bosId: 0, ids: new Set([0, 5]) };

  it('stands in front of what a model reads, whatever the text begins with', () => {
    expect(withBos([0, 7], 'always', special)).toEqual([0, 0, 7]);
    expect(withBos([], 'always', special)).toEqual([0]);
  });

  it('stands in front of what attribution reads, unless a special token does', () => {
    expect(withBos([7, 5], 'unless_special_first', special)).toEqual([0, 7, 5]);
    expect(withBos([5, 7], 'unless_special_first', special)).toEqual([5, 7]);
  });

  it('counts as present when its id is 0', () => {
    expect(withBos([0, 7], 'unless_special_first', special)).toEqual([0, 7]);
    expect(withBos([7], 'unless_special_first', special)).toEqual([0, 7]);
  });

  it('may have the id 0 in a tokenizer', async () => {
    const changed = await loadChanged((json) => {
      const { vocab } = json.model;
      [vocab['<bos>'], vocab['<pad>']] = [vocab['<pad>'], vocab['<bos>']];
      const named = (name: string) => json.added_tokens.find(({ content }) => content === name)!;
      [named('<bos>').id, named('<pad>').id] = [named('<pad>').id, named('<bos>').id];
      (json.post_processor as { special_tokens: object }).special_tokens = { '<bos>': { ids: [0] } };
    });
    expect(changed.promptIds('The', 'always')).toEqual([0, 321]);
    expect(changed.promptIds('The', 'unless_special_first')).toEqual([0, 321]);
    expect(changed.promptIds('<bos>The', 'unless_special_first')).toEqual([0, 321]);
  });
});

describe('singleToken', () => {
  it('finds the one token of a text', () => {
    expect(tokenizer.singleToken(' capital')).toBe(394);
    expect(tokenizer.singleToken('<bos>')).toBe(tokenizer.bosId);
  });

  it('shows how another text splits', () => {
    expect(() => tokenizer.singleToken('The cat')).toThrow(
      '"The cat" is 2 tokens, but one is needed: "The" (321) + " cat" (435)',
    );
    expect(() => tokenizer.singleToken('')).toThrow(UsageError);
  });
});

describe('token ids given by hand', () => {
  it('are separated by commas, spaces or both', () => {
    expect(parseTokenIds('2,321, 435 7', 560)).toEqual([2, 321, 435, 7]);
    expect(parseTokenIds(' 0 ', 560)).toEqual([0]);
  });

  it.each(['', ' ', '2,,3', '2,', '-1', '1.5', '560', '1e2', '0x10', 'two', '99999999999999999999'])(
    'are refused when they are %j',
    (text) => {
      expect(() => parseTokenIds(text, 560)).toThrow(UsageError);
    },
  );

  it('are refused by name', () => {
    expect(() => parseTokenIds('2,560', 560)).toThrow('"560" is no token id of a vocabulary of 560');
  });
});

describe('ids outside the vocabulary', () => {
  it('give no text, since a model may have more rows than its tokenizer has tokens', () => {
    expect(tokenizer.decode([321, 560, -1, 435])).toBe('The cat');
    expect(tokenizer.tokenStrings([560])).toEqual(['']);
    expect(tokenizer.pieces([560])).toEqual(['']);
  });
});

describe('decoding as tokens come', () => {
  it('holds the bytes of a character until it is complete', () => {
    const stream = tokenizer.decodeStream();
    const steps = tokenizer.encode('a🦊b').map((id) => stream.push(id));
    expect([...steps, stream.end()]).toEqual(['a', '', '', '', '', '🦊b', '']);
  });

  it('shows at the end the bytes that never became a character', () => {
    const stream = tokenizer.decodeStream();
    const [first, second] = tokenizer.encode('🦊');
    expect([stream.push(first!), stream.push(second!), stream.end(), stream.end()]).toEqual([
      '',
      '',
      '��',
      '',
    ]);
  });

  it('never shows part of a character, nor takes back what it gave', () => {
    const text = fc.string({ unit: 'binary' }).map((original) => original.replaceAll('▁', ' '));
    fc.assert(
      fc.property(text, (original) => {
        const stream = tokenizer.decodeStream();
        let shown = '';
        for (const id of tokenizer.encode(original)) {
          shown += stream.push(id);
          expect(original.startsWith(shown)).toBe(true);
        }
        expect(shown + stream.end()).toBe(original);
      }),
    );
  });
});

it('an unpaired surrogate is read as the replacement character', () => {
  expect(tokenizer.encode('a\ud83eb')).toEqual(tokenizer.encode('a\ufffdb'));
});
