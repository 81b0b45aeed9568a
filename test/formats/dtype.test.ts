import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { firstNonFinite, firstNonFiniteStored, narrowToBfloat16, widen } from '../../src/formats/dtype.ts';
import type { StorageType } from '../../src/formats/tensor-file.ts';

const bytesOf = (view: ArrayBufferView) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
const bitsOf = (values: Float32Array) => new Uint32Array(values.buffer, values.byteOffset, values.length);
const allHalves = Uint16Array.from({ length: 2 ** 16 }, (_, i) => i);

/** Value of a float16 by its definition (IEEE 754: 1 sign, 5 exponent, 10 fraction bits). */
function float16Value(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

describe('Widening to float32', () => {
  it('gives aligned float32 as a view and copies what is not aligned', () => {
    const values = Float32Array.of(1.5, -0, NaN, Infinity);
    const view = widen(bytesOf(values), 'F32');
    expect(view.buffer).toBe(values.buffer);
    const shifted = new Uint8Array(17);
    shifted.set(bytesOf(values), 1);
    const copy = widen(shifted.subarray(1), 'F32');
    expect([...bitsOf(copy)]).toEqual([...bitsOf(values)]);
  });

  it('is exact for every float16, subnormals, infinities and signed zeros included', () => {
    const wide = widen(bytesOf(allHalves), 'F16');
    const wrong = allHalves.findIndex((half) => !Object.is(wide[half], float16Value(half)));
    expect(wrong).toBe(-1);
  });

  it('keeps the bits of every bfloat16', () => {
    const bits = bitsOf(widen(bytesOf(allHalves), 'BF16'));
    expect(allHalves.findIndex((half) => bits[half] !== half * 2 ** 16)).toBe(-1);
  });

  it('rounds float64 and 64-bit integers to the nearest, and keeps small integers', () => {
    expect(widen(bytesOf(Float64Array.of(0.1, 1e300)), 'F64')).toEqual(
      Float32Array.of(Math.fround(0.1), Infinity),
    );
    expect(widen(bytesOf(BigInt64Array.of(-(2n ** 53n), 16777217n)), 'I64')).toEqual(
      Float32Array.of(-(2 ** 53), 16777216),
    );
    expect(widen(bytesOf(BigUint64Array.of(2n ** 63n)), 'U64')).toEqual(Float32Array.of(2 ** 63));
    const small: [StorageType, ArrayBufferView, number[]][] = [
      ['I32', Int32Array.of(-5, 7), [-5, 7]],
      ['I16', Int16Array.of(-5, 7), [-5, 7]],
      ['I8', Int8Array.of(-5, 7), [-5, 7]],
      ['U32', Uint32Array.of(2 ** 31), [2 ** 31]],
      ['U16', Uint16Array.of(65535), [65535]],
      ['U8', Uint8Array.of(255), [255]],
      ['BOOL', Uint8Array.of(0, 1), [0, 1]],
    ];
    for (const [dtype, stored, values] of small) expect([...widen(bytesOf(stored), dtype)]).toEqual(values);
  });
});

describe('Narrowing to bfloat16', () => {
  it('gives back every bfloat16 that was widened, and some NaN for each NaN', () => {
    const back = narrowToBfloat16(widen(bytesOf(allHalves), 'BF16'));
    const isNaNHalf = (half: number) => (half & 0x7fff) > 0x7f80;
    const wrong = allHalves.findIndex((half) =>
      isNaNHalf(half) ? !isNaNHalf(back[half]!) : back[half] !== half,
    );
    expect(wrong).toBe(-1);
  });

  it('rounds to the nearest, ties to the even neighbour, and past the largest to infinity', () => {
    const bits = Uint32Array.of(0x3f808000, 0x3f818000, 0x3f808001, 0x3f807fff, 0x7f7fffff, 0xff7fffff);
    const expected = [0x3f80, 0x3f82, 0x3f81, 0x3f80, 0x7f80, 0xff80];
    expect([...narrowToBfloat16(new Float32Array(bits.buffer))]).toEqual(expected);
  });

  it('never leaves a value farther away than another bfloat16 would be', () => {
    fc.assert(
      fc.property(fc.float({ noNaN: true, max: Math.fround(3e38), min: Math.fround(-3e38) }), (value) => {
        const [half] = narrowToBfloat16(Float32Array.of(value));
        const [below, chosen, above] = widen(bytesOf(Uint16Array.of(half! - 1, half!, half! + 1)), 'BF16');
        const distance = Math.abs(chosen! - value);
        if ((half! & 0x7fff) > 0) expect(distance).toBeLessThanOrEqual(Math.abs(below! - value));
        expect(distance).toBeLessThanOrEqual(Math.abs(above! - value));
      }),
    );
  });
});

describe('The search for numbers that are not finite', () => {
  it('finds the first one wherever it is, and none among extreme finite numbers', () => {
    const finite = Float32Array.from({ length: 5000 }, (_, i) => (i % 3 === 0 ? 3.4e38 : -1e-45 * i));
    expect(firstNonFinite(finite)).toBe(-1);
    for (const place of [0, 1023, 1024, 4999]) {
      const values = finite.slice();
      values[place] = place % 2 ? NaN : -Infinity;
      values[4999] = Infinity;
      expect(firstNonFinite(values)).toBe(place);
    }
  });

  it('finds the same in stored bytes as in the widened ones', () => {
    const dtypes = fc.constantFrom<StorageType>('BF16', 'F16', 'F32', 'I32');
    const halves = fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 2, maxLength: 9 });
    fc.assert(
      fc.property(dtypes, halves, fc.nat(3000), fc.nat(3), (dtype, found, before, shift) => {
        const length = before + found.length + 1000;
        const stored = new Uint16Array(
          length - (length % 2) + (dtype.length === 4 || dtype === 'F16' ? 1 : 0),
        );
        stored.set(found, before);
        const memory = new Uint8Array(stored.byteLength + shift);
        memory.set(bytesOf(stored), shift);
        const bytes = memory.subarray(shift);
        expect(firstNonFiniteStored(bytes, dtype)).toBe(firstNonFinite(widen(bytes, dtype)));
      }),
    );
  });
});
