import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  asciiName,
  foldedName,
  hashedFileName,
  isFileName,
  slugFileName,
  slugOfPrompt,
  viewerSlug,
} from '../../src/graph/slug.ts';

/** Signs that names lose or keep for different reasons, so that random strings of them are often nearly equal. */
const SIGNS = [
  ...['a', 'A', 'b', '7', '_', '.', '-', ' ', '/', '\\', ':', '?', '\0', '\n', '"'],
  ...['é', 'e\u0301', 'ß', '苹', '果', 'क', '\u093f', '\u0940', '가', '\u1100\u1161', '\u200d', '\u200c'],
  ...['🍎', '🍌', '\ufe0f', '\u202e', '\ud800', '\udfff', '٣', 'Ⅷ', '¹'],
];
const slugs = fc
  .oneof(
    fc.array(fc.constantFrom(...SIGNS), { minLength: 1, maxLength: 6 }).map((signs) => signs.join('')),
    fc.string({ unit: 'binary', minLength: 1 }),
    fc.constantFrom('con', 'CON.x', 'nul', 'com1', 'COM¹.', 'graph-metadata', 'x.annotations', '.x', '..x'),
    fc.constantFrom('x', '苹').chain((sign) => fc.integer({ min: 60, max: 300 }).map((n) => sign.repeat(n))),
  )
  .filter((slug) => !/^\.*$/.test(slug));

describe('the file name of a slug', () => {
  it.each([
    ['dallas', 'Dallas_2.v1-x'],
    ['-5', '7'],
    ['苹果', '香蕉'],
    ['Москва', 'Αθήνα'],
    ['किताब', 'कीताब'],
    ['ภาษาไทย', 'தமிழ்'],
    ['שָׁלוֹם', 'مرحبًا'],
    ['می\u200cخواهم', 'میخواهم'],
    ['서울', 'Việt-Nam'],
    ['٣٢١', '१२३'],
  ])('is the slug itself in every script: %s, %s', (one, other) => {
    expect([one, other].map(slugFileName)).toEqual([one, other]);
  });

  it.each([
    ['spaces and hyphens', 'a b', 'a-b'],
    ['punctuation', 'what?', 'what!'],
    ['emoji alone', '🍎', '🍌'],
    ['emoji in a word', 'fruit🍎', 'fruit🍌'],
    ['composed and decomposed letters', 'caf\u00e9', 'cafe\u0301'],
    ['a path', 'a/b', 'a-b'],
    ['hidden names', '.x', 'x'],
    ['direction marks', 'a\u202eb', 'ab'],
    ['unpaired surrogates', '\ud800', '\ud801'],
    ['long names with one end', `${'x'.repeat(300)}1`, `${'x'.repeat(300)}2`],
    ['long names of three bytes a letter', `${'苹'.repeat(90)}1`, `${'苹'.repeat(90)}2`],
  ])('tells apart: %s', (_, one, other) => {
    const names = [one, other].map(slugFileName);
    expect(new Set(names.map(foldedName)).size).toBe(2);
    expect(new Set([one, other].map(viewerSlug)).size).toBe(2);
    expect(names.every(isFileName)).toBe(true);
  });

  it('says what was lost by a hash behind what is kept', () => {
    expect(slugFileName('my graph (1)')).toMatch(/^my-graph-1-[0-9a-f]{10}$/);
    expect(slugFileName('香蕉🍌')).toMatch(/^香蕉-[0-9a-f]{10}$/);
    expect(slugFileName('🍌')).toMatch(/^[0-9a-f]{10}$/);
    expect(slugFileName('.hidden')).toMatch(/^hidden-[0-9a-f]{10}$/);
  });

  it.each(['con', 'NUL', 'aux.v1', 'Com7', 'lpt³'])('is no device of Windows: %s', (slug) => {
    expect(slugFileName(slug)).toMatch(/^_.+-[0-9a-f]{10}$/);
    expect(viewerSlug(`${slug}\u0301`)).not.toMatch(/^(?:con|nul|aux|com7|lpt3)(?:\.|$)/i);
  });

  it.each(['graph-metadata', 'Graph-Metadata', 'x.annotations'])(
    'is not that of another file: %s',
    (slug) => {
      expect(slugFileName(slug)).toMatch(/-[0-9a-f]{10}$/);
    },
  );

  it.each(['', '.', '..', '....'])('is refused where none is possible: %j', (slug) => {
    expect(() => slugFileName(slug)).toThrow(expect.objectContaining({ exitCode: 2, code: 'bad_slug' }));
    expect(() => viewerSlug(slug)).toThrow(expect.objectContaining({ exitCode: 2, code: 'bad_slug' }));
  });

  it('is possible everywhere, stays what it is, and belongs to one slug, whatever the slug', () => {
    fc.assert(
      fc.property(slugs, slugs, (slug, other) => {
        for (const name of [slugFileName(slug), hashedFileName(slug)]) {
          expect(name).not.toMatch(/^\.|[^\p{L}\p{M}\p{N}\p{Join_Control}_.-]/u);
          expect(Buffer.byteLength(`${name}.annotations.json`)).toBeLessThanOrEqual(255);
          expect(name).toBe(name.normalize('NFC'));
          expect(slugFileName(name)).toBe(name);
        }
        const viewer = viewerSlug(slug);
        expect(viewer).toMatch(/^[a-zA-Z0-9_-][a-zA-Z0-9_.-]*$/);
        expect(viewerSlug(viewer)).toBe(viewer);
        if (slug === other) return;
        expect(slugFileName(slug)).not.toBe(slugFileName(other));
        expect(viewer).not.toBe(viewerSlug(other));
        expect(foldedName(hashedFileName(slug))).not.toBe(foldedName(hashedFileName(other)));
      }),
      { numRuns: 500 },
    );
  });
});

describe('a name of ASCII', () => {
  it.each([
    ['dallas', 'dallas'],
    ['google/gemma-scope//layer_0', 'google-gemma-scope--layer_0'],
    ['a b/c', 'a-b-c'],
  ])('has hyphens for the other signs of ASCII: %s', (name, expected) => {
    expect(asciiName(name)).toBe(expected);
  });

  it('has a hash where letters were lost', () => {
    expect(asciiName('Köln')).toMatch(/^Koln-[0-9a-f]{10}$/);
    expect(asciiName('苹果')).toMatch(/^[0-9a-f]{10}$/);
    expect(new Set(['苹果/a', '香蕉/a', '/a'].map(asciiName)).size).toBe(3);
  });
});

describe('the slug of a prompt', () => {
  it.each([
    ['The opposite of hot is', 'the-opposite-of-hot-is'],
    ['  "Zoë", he said...', 'zoë-he-said'],
    ['法国的首都是', '法国的首都是'],
    ['भारत की राजधानी', 'भारत-की-राजधानी'],
    ['🍎🍌', 'prompt'],
    ['-5 + 3 =', '5-3'],
    ['...', 'prompt'],
    ['CON', '_con'],
    [`${'word '.repeat(7)}12345678`, 'word-word-word-word-word-word-word-12345'],
  ])('is made of its words: %s', (prompt, slug) => {
    expect(slugOfPrompt(prompt)).toBe(slug);
  });
});
