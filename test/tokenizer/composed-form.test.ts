import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { composedForm } from '../../src/tokenizer/composed-form.ts';
import { readLines } from './support.ts';

describe('the composed form', () => {
  it('is that of the tokenizers library, also for marks that its tables do not have', () => {
    const references = readLines<{ text: string; composed: string }>('reference-composed.jsonl');
    expect(references.length).toBe(300);
    const differing = references.filter(({ text, composed }) => text.normalize('NFC') !== composed);
    expect(differing.length).toBeGreaterThan(20);
    for (const { text, composed } of references) expect(composedForm(text)).toBe(composed);
  });

  it('is that of Unicode for the scripts that models are trained on', () => {
    const char = fc.oneof(
      fc.integer({ min: 0, max: 0x2ff }),
      fc.integer({ min: 0x300, max: 0x36f }),
      fc.integer({ min: 0x1100, max: 0x11ff }),
      fc.integer({ min: 0xac00, max: 0xd7a3 }),
      fc.integer({ min: 0x4e00, max: 0x9fff }),
    );
    fc.assert(
      fc.property(fc.array(char, { maxLength: 20 }), (points) => {
        const text = points.map((point) => String.fromCodePoint(point)).join('');
        expect(composedForm(text)).toBe(text.normalize('NFC'));
      }),
      { numRuns: 500 },
    );
  });
});
