import { describe, expect, it } from '@jest/globals';
import { translatePattern } from '../../src/tokenizer/pattern.ts';
import { loadChanged } from './support.ts';

/** The parts of a text as the expression matches them. */
function matches(pattern: string, text: string): string[] {
  return Array.from(text.matchAll(new RegExp(translatePattern(pattern), 'gu')), ([match]) => match);
}

describe('a splitting expression', () => {
  it('takes for white space what Unicode does', () => {
    const spaces = '\t\n\v\f\r \u0085\u00a0\u1680\u2000\u200a\u2028\u2029\u202f\u205f\u3000';
    expect(matches(String.raw`\s+`, `a${spaces}b`)).toEqual([spaces]);
    expect(matches(String.raw`\S+`, 'a\ufeffb\u001cc\u200bd\u180ee')).toEqual([
      'a\ufeffb\u001cc\u200bd\u180ee',
    ]);
    expect(matches(String.raw`[^\s]+`, 'a\u0085b')).toEqual(['a', 'b']);
  });

  it('takes for digits what Unicode does', () => {
    expect(matches(String.raw`\d+`, '12٣٤½')).toEqual(['12٣٤']);
    expect(matches(String.raw`\D+`, '12٣x')).toEqual(['x']);
  });

  it('ignores case in a group, also for letters outside ASCII', () => {
    expect(matches("(?i:'s|'ll|'k)|x", "'S 'ſ 'lL 'K 'K 'L X x")).toEqual([
      "'S",
      "'ſ",
      "'lL",
      "'K",
      "'K",
      'x',
    ]);
    expect(matches("'(?i:[sdmt]|ve)", "'D 'VE 'x")).toEqual(["'D", "'VE"]);
  });

  it('counts characters outside the first plane as one', () => {
    expect(matches('[^a]{1,2}', '🦊🦊🦊a𝔘')).toEqual(['🦊🦊', '🦊', '𝔘']);
    expect(matches(String.raw`[\u{1F98A}-🦋]`.replace(String.raw`\u{1F98A}`, '🦊'), 'x🦊🦋🦌')).toEqual([
      '🦊',
      '🦋',
    ]);
  });

  it('may escape signs, in classes and outside', () => {
    expect(matches(String.raw`[!\-\[\\\]/]+|\(\-\/\)|-|}|]`, String.raw`![-\]/ (-/) -}]`)).toEqual([
      String.raw`![-\]/`,
      '(-/)',
      '-',
      '}',
      ']',
    ]);
  });

  it('may be a range, a repeat and a group in a group', () => {
    expect(matches('(?:[一-龥]{2,}|(a(b|c))+)(?=x)', '中文x中x abacx ab')).toEqual(['中文', 'abac']);
  });

  it.each([
    [String.raw`\w+`, String.raw`has "\w", which is not supported`],
    [String.raw`\bx`, String.raw`has "\b", which is not supported`],
    [String.raw`\h`, String.raw`has "\h", which is not supported`],
    [String.raw`\x41`, String.raw`has "\x", which is not supported`],
    [String.raw`(a)\1`, String.raw`has "\1", which is not supported`],
    [String.raw`\p{Han}`, String.raw`has "\p{Han}", which is not supported`],
    [String.raw`\p{^L}`, String.raw`has "\p{^L}", which is not supported`],
    [String.raw`[\p{Greek}]`, String.raw`has "\p{Greek}", which is not supported`],
    ['a.', 'has ".", which is not supported here'],
    ['^a', 'has "^", which is not supported here'],
    ['a$', 'has "$", which is not supported here'],
    ['+a', 'has "+", which is not supported here'],
    ['a{,3}', 'has "{", which is not supported here'],
    ['a++', 'has "++": lazy, possessive and double repeats are not supported'],
    ['a+?', 'has "+?": lazy, possessive and double repeats are not supported'],
    ['a{1,2}+', 'has "{1,2}+": lazy, possessive and double repeats are not supported'],
    ['(?>a)', 'has the group "(?>", which is not supported'],
    ['(?<=a)b', 'has the group "(?<", which is not supported'],
    ['(?m:a)', 'has the group "(?m", which is not supported'],
    ['(?i)a', 'has the group "(?i", which is not supported'],
    ['[a[b]]', 'has "[" in a class: classes in classes are not supported'],
    ['[a&&b]', 'has "&" in a class: classes in classes are not supported'],
    ['[[:alpha:]]', 'has "[" in a class: classes in classes are not supported'],
    ['[]a]', 'has a class that begins with "]"'],
    [String.raw`[a-\s]`, 'has a range that ends in a class of characters'],
    ['[b-a]', 'is no expression'],
    ['[ab', 'ends too early'],
    ['a\\', 'ends too early'],
    ['(a', 'has a "(" without ")"'],
    ['a)', 'has a ")" too many'],
    ['a*', 'matches the empty text'],
    ['x|', 'matches the empty text'],
    ['(?i:ss)', 'has "ss" where case is ignored, which is not supported'],
    ['(?i:é)', 'has the letter "é" where case is ignored, which is not supported'],
    [String.raw`(?i:\p{L})`, 'has a class of characters where case is ignored, which is not supported'],
    ['(?i:[a-z])', 'has a range where case is ignored, which is not supported'],
  ])('is refused by the name of what is not supported: %s', async (pattern, problem) => {
    expect(() => translatePattern(pattern)).toThrow(problem);
    const loading = loadChanged((json) => {
      json.pre_tokenizer = {
        type: 'Split',
        pattern: { Regex: pattern },
        behavior: 'Isolated',
        invert: false,
      };
    });
    await expect(loading).rejects.toMatchObject({
      exitCode: 4,
      hint: expect.any(String),
      message: expect.stringContaining(`field pre_tokenizer.pattern.Regex: the expression ${problem}`),
    });
  });

  it('is refused when groups are nested without end', () => {
    expect(() => translatePattern('(?:'.repeat(100_000))).toThrow('has groups that are nested too deep');
  });
});
