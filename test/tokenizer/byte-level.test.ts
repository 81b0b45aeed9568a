import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { bytesAsChars, bytesOfPiece } from '../../src/tokenizer/byte-level.ts';
import { loadTokenizer } from '../../src/tokenizer/load.ts';
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts';
import { familyFiles } from './support.ts';

const gpt2 = await loadTokenizer(familyFiles('gpt2'));

function idsOfBytes(tokenizer: Tokenizer, bytes: readonly number[]): number[] {
  const pieces = tokenizer.pieces(Array.from({ length: tokenizer.vocabularySize }, (_, id) => id));
  const idOf = new Map(pieces.map((piece, id) => [piece, id]));
  return bytes.map((byte) => idOf.get(BYTE_CHARS[byte]!)!);
}

/** The characters by byte, from the pieces of one byte: the fixture's vocabulary begins with them. */
const BYTE_CHARS = Array.from({ length: 256 }, (_, byte) => charOf(byte));

function charOf(byte: number): string {
  // The bytes that are printable in Latin-1 stand for themselves, the others follow from 256 on.
  const others = Array.from({ length: 256 }, (_, i) => i).filter(
    (i) => i < 0x21 || (i > 0x7e && i < 0xa1) || i === 0xad,
  );
  const place = others.indexOf(byte);
  return String.fromCharCode(place === -1 ? byte : 256 + place);
}

describe('bytes as characters', () => {
  it('are one printable character each, and read back', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const bytes = new TextEncoder().encode(text);
        const chars = bytesAsChars(text);
        expect(chars).toBe(Array.from(bytes, charOf).join(''));
        expect([...bytesOfPiece(chars)]).toEqual([...bytes]);
      }),
    );
  });

  it('are the text itself where a character of a piece stands for no byte', () => {
    expect([...bytesOfPiece('a b')]).toEqual([0x61, 0x20, 0x62]);
    expect([...bytesOfPiece('Ġb')]).toEqual([0x20, 0x62]);
    expect([...bytesOfPiece('Ġ中')]).toEqual([...new TextEncoder().encode('Ġ中')]);
  });
});

describe('decoding bytes', () => {
  it.each([
    ['a byte that is no text', [0x61, 0xff, 0x62], 'a\ufffdb'],
    ['the beginning of a character, alone', [0xf0, 0x9f], '\ufffd'],
    ['the beginning of a character, then another character', [0xf0, 0x9f, 0xe2, 0x82, 0xac], '\ufffd€'],
    ['a byte that continues nothing', [0x80, 0x80], '\ufffd\ufffd'],
    ['a character written with too many bytes', [0xe0, 0x80, 0x80], '\ufffd\ufffd\ufffd'],
    ['a surrogate', [0xed, 0xa0, 0x80], '\ufffd\ufffd\ufffd'],
    ['a byte-order mark', [0xef, 0xbb, 0xbf, 0x61], '\ufeffa'],
  ])('gives replacement characters as the standard says: %s', (_, bytes, expected) => {
    expect(gpt2.decode(idsOfBytes(gpt2, bytes))).toBe(expected);
  });

  it('is the same one by one, for any bytes', () => {
    const byte = fc.oneof(
      fc.integer({ min: 0, max: 255 }),
      fc.constantFrom(0xf0, 0x9f, 0xa6, 0x8a, 0xe2, 0x82, 0xac, 0xc3),
    );
    fc.assert(
      fc.property(fc.array(byte, { maxLength: 12 }), (bytes) => {
        const ids = idsOfBytes(gpt2, bytes);
        const expected = new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(bytes));
        expect(gpt2.decode(ids)).toBe(expected);
        const stream = gpt2.decodeStream();
        let shown = '';
        for (const id of ids) {
          shown += stream.push(id);
          expect(expected.startsWith(shown)).toBe(true);
        }
        expect(stream.pending()).toBe(expected.slice(shown.length));
        expect(shown + stream.end()).toBe(expected);
      }),
      { numRuns: 500 },
    );
  });

  it('shows no part of a character while its bytes arrive', () => {
    const stream = gpt2.decodeStream();
    const steps = idsOfBytes(gpt2, [0x61, 0xf0, 0x9f, 0xa6, 0x8a, 0x62]).map((id) => stream.push(id));
    expect([...steps, stream.end()]).toEqual(['a', '', '', '', '🦊', 'b', '']);
  });

  it('gives every text back', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        expect(gpt2.decode(gpt2.encode(text))).toBe(text);
      }),
    );
  });
});
