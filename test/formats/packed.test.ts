/** Packed types: blocks and their values as ggml's Python package computes them (`test/fixtures/gguf/make.py`). */
import { describe, expect, it } from '@jest/globals';
import { bytesOfNumbers, firstNonFiniteStored, widen } from '../../src/formats/dtype.ts';
import { openGguf } from '../../src/formats/gguf.ts';
import { PACKED_TYPES } from '../../src/formats/packed.ts';
import { gguf } from '../support/gguf.ts';

describe.each(PACKED_TYPES)('%s', (type) => {
  it('means what ggml computes, bit by bit', async () => {
    using file = await openGguf(gguf('packed'));
    const { dtype, shape, byteLength } = file.tensors.get(type)!;
    expect({ dtype, shape }).toEqual({ dtype: type, shape: [3, 768] });
    expect(byteLength).toBe(bytesOfNumbers(type, 3 * 768));
    const found = bitsOf(widen(await file.read(type), type));
    const expected = bitsOf(widen(await file.read(`${type}.values`), 'F32'));
    expect(found.findIndex((word, i) => word !== expected[i])).toBe(-1);
    expect(found).toHaveLength(expected.length);
    // A row is read alone, at the place of its blocks.
    expect(bitsOf(widen(await file.readRows(type, [2, 0]), type))).toEqual(
      Uint32Array.of(...expected.subarray(2 * 768), ...expected.subarray(0, 768)),
    );
  });

  it('is unpacked in whole blocks only', async () => {
    using file = await openGguf(gguf('packed'));
    const bytes = await file.read(type);
    expect(() => widen(bytes.subarray(1), type)).toThrow(`whole number of blocks of ${type}`);
  });
});

it('NaN in a scale is found', () => {
  const bytes = new Uint8Array(2 * 34);
  expect(firstNonFiniteStored(bytes, 'Q8_0')).toBe(-1);
  bytes.set([0, 0x7e], 34);
  expect(firstNonFiniteStored(bytes, 'Q8_0')).toBe(32);
});

function bitsOf(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length);
}
