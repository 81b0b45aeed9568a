import { afterAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { loadTokenizer } from '../../src/tokenizer/load.ts';
import { scratchFolder } from '../support/scratch.ts';
import { processorMs } from '../support/processor-time.ts';
import { GEMMA2, readLines } from './support.ts';

interface Reference {
  readonly text: string;
  readonly model_input: number[];
  readonly decoded: string;
  readonly mixed_ids: number[];
  readonly mixed_decoded: string;
  readonly mixed_without_special: string;
}

/** Far above what it takes (20 to 60 ms), far below parsing the JSON again (1.2 s). */
const WARM_START_MS = 120;
const LONG_TEXT_MS = 2000;

describe('the real Gemma-2 tokenizer', () => {
  const cache = scratchFolder();
  afterAll(() => cache[Symbol.dispose]());
  const load = () => loadTokenizer({ ...GEMMA2, cacheDir: cache.path });

  it('splits the notebook’s prompt as the notebook does', async () => {
    const tokenizer = await load();
    expect(tokenizer.vocabularySize).toBe(256_000);
    expect(tokenizer.promptIds('Hello, world!', 'always')).toEqual([2, 4521, 235269, 2134, 235341]);
  });

  it('encodes and decodes every text of the reference file as the tokenizers library does', async () => {
    const tokenizer = await load();
    const references = readLines<Reference>('reference-gemma2.jsonl');
    expect(references.length).toBeGreaterThan(300);
    for (const reference of references) {
      const mixed = reference.mixed_ids;
      const ours = {
        text: reference.text,
        model_input: tokenizer.promptIds(reference.text, 'always'),
        decoded: tokenizer.decode(reference.model_input),
        mixed_ids: mixed,
        mixed_decoded: tokenizer.decode(mixed),
        mixed_without_special: tokenizer.decode(mixed, { skipSpecialTokens: true }),
      };
      expect(ours).toEqual(reference);
    }
  });

  it('gives every text back, but for the sign it writes spaces with', async () => {
    const tokenizer = await load();
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc.string({ unit: 'grapheme', maxLength: 60 }),
      fc
        .array(fc.constantFrom('\n', ' ', '\t', 'a', '<bos>', '<0x41>', 'é', '🦊'))
        .map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(text, (original) => {
        expect(tokenizer.decode(tokenizer.encode(original))).toBe(original.replaceAll('▁', ' '));
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    ['one letter', 'a'.repeat(100_000)],
    ['a word without spaces', 'antidisestablishmentarianism'.repeat(3600)],
    ['Chinese', '中文字符'.repeat(25_000)],
    ['spaces', ' '.repeat(100_000)],
    ['bytes only', '\u{10ffff}'.repeat(50_000)],
  ])('encodes 100,000 characters of %s in less than two seconds', async (_, text) => {
    const tokenizer = await load();
    const start = processorMs();
    const ids = tokenizer.encode(text);
    expect(processorMs() - start).toBeLessThan(LONG_TEXT_MS);
    expect(tokenizer.decode(ids)).toBe(text);
  });

  it(`starts in less than ${WARM_START_MS} ms once it has been compiled`, async () => {
    await load();
    const startsMs: number[] = [];
    for (let i = 0; i < 5; i++) {
      const start = processorMs();
      await load();
      startsMs.push(processorMs() - start);
    }
    expect(Math.min(...startsMs)).toBeLessThan(WARM_START_MS);
  });
});
