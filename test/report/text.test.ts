import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { printable, printableLines, visibleToken } from '../../src/report/text.ts';

describe('a token', () => {
  it.each([
    [' capital', '·capital'],
    ['a  b ', 'a··b·'],
    ['\n\t', '\\n\\t'],
    ['\x1b[31mred', '\\x1b[31mred'],
    ['\u009b31m', '\\x9b31m'],
    ['\u202edesrever', '\\u202edesrever'],
    ['\u00a0\u3000', '\\xa0\\u3000'],
    ['\u200b', '\\u200b'],
    ['\ud800', '\\ud800'],
    ['\\n', '\\\\n'],
    ['·', '\\xb7'],
    ['', '""'],
    ['日本語é🙂', '日本語é🙂'],
  ])('%j is shown as %s', (text, shown) => {
    expect(visibleToken(text)).toBe(shown);
  });

  it('never sends anything that a terminal obeys, and two tokens never look the same', () => {
    const text = fc.string({ unit: 'binary', maxLength: 8 });
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(visibleToken(a)).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Zs}]/u);
        expect(visibleToken(a) === visibleToken(b)).toBe(a === b);
      }),
    );
  });
});

describe('a message', () => {
  it('keeps its lines and plain spaces, and loses its control characters', () => {
    expect(printableLines('two lines:\nfile \x1b]0;title\x07')).toBe('two lines:\nfile \\x1b]0;title\\x07');
    expect(printable('one line:\nfile')).toBe('one line:\\nfile');
  });
});
