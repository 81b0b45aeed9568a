import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { FileHandle } from 'node:fs/promises';
import { readFully, writeFully } from '../../src/formats/positioned.ts';

/** A file in memory whose calls move as many bytes as `sizes` says in turn, at least one while there are any. */
function stutteringFile(content: Uint8Array, sizes: readonly number[]) {
  let calls = 0;
  const file = { content };
  const part = (length: number): number => Math.min(length, Math.max(1, sizes[calls++ % sizes.length]!));
  const handle = {
    read(target: Uint8Array, at: number, length: number, position: number) {
      const bytes = file.content.subarray(position, position + part(length));
      target.set(bytes, at);
      return Promise.resolve({ bytesRead: bytes.byteLength });
    },
    write(source: Uint8Array, at: number, length: number, position: number) {
      const bytes = source.subarray(at, at + part(length));
      const grown = new Uint8Array(Math.max(file.content.byteLength, position + bytes.byteLength));
      grown.set(file.content);
      grown.set(bytes, position);
      file.content = grown;
      return Promise.resolve({ bytesWritten: bytes.byteLength });
    },
  };
  return { file, handle: handle as unknown as FileHandle };
}

const CONTENT = fc.uint8Array({ minLength: 0, maxLength: 40 });
const SIZES = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 });

describe('a file that is read and written at positions', () => {
  it('is read whole, however little one call gives, and its end is told', async () => {
    await fc.assert(
      fc.asyncProperty(CONTENT, SIZES, fc.nat(45), fc.nat(45), async (content, sizes, offset, length) => {
        const { handle } = stutteringFile(content, sizes);
        const target = new Uint8Array(length).fill(0xee);
        const found = await readFully(handle, target, offset);
        const expected = content.subarray(offset, offset + length);
        expect(found).toBe(expected.byteLength);
        expect(target.subarray(0, found)).toEqual(expected);
        expect(target.subarray(found)).toEqual(new Uint8Array(length - found).fill(0xee));
      }),
    );
  });

  it('is written whole, however little one call takes', async () => {
    await fc.assert(
      fc.asyncProperty(CONTENT, CONTENT, SIZES, fc.nat(45), async (content, bytes, sizes, offset) => {
        const { file, handle } = stutteringFile(content, sizes);
        await writeFully(handle, bytes, offset);
        expect(file.content.subarray(offset, offset + bytes.byteLength)).toEqual(bytes);
        expect(file.content.subarray(0, Math.min(offset, content.byteLength))).toEqual(
          content.subarray(0, offset),
        );
      }),
    );
  });
});
