import { describe, expect, it } from '@jest/globals';
import { parseByteSize } from '../../src/settings/byte-size.ts';

describe('a size', () => {
  it.each([
    ['8GiB', 8 * 2 ** 30],
    ['8G', 8 * 2 ** 30],
    ['8gb', 8e9],
    ['1.5 MiB', 1.5 * 2 ** 20],
    ['512k', 512 * 1024],
    ['6000000000', 6e9],
    ['100B', 100],
    [4096, 4096],
  ])('%p is read in bytes', (text, bytes) => {
    expect(parseByteSize(text)).toBe(bytes);
  });

  it.each(['', '0', '-1GiB', '8 apples', '8GiBs', '5iB', '1e3', '99999999TiB', 0, -5, 1.5, null, true])(
    '%p is none',
    (text) => {
      expect(parseByteSize(text)).toBeUndefined();
    },
  );
});
