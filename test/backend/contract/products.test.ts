/** What every backend promises about the numbers of parameters: products and rows. */
import { describe, expect, it } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import type { Tensor2D } from '../../../src/backend/backend.ts';
import { describeEachBackend, type TestDevice } from '../../support/backends.ts';
import { IS_FULL_ON_WEBGPU } from '../../support/golden.ts';
import {
  decode16,
  matrix,
  memorySource,
  product,
  randomBits,
  storedSource,
  transposed,
  WEIGHT_TYPES,
  wholeNumbers,
  type Matrix,
} from '../../support/matrices.ts';
import { expectExact, KEPT, multiply, tensorOf, valuesOf, WAYS } from '../../support/weights.ts';

const CASES = WEIGHT_TYPES.flatMap((dtype) =>
  WAYS.flatMap((way) => [false, true].map((isTransposed) => ({ dtype, way, isTransposed }))),
);

/** Half the distance from 1 to the next float32: the largest relative error of one operation. */
const UNIT_ROUNDOFF = 2 ** -24;

/** Numbers that an engine widens and multiplies as one block. */
const BLOCK_NUMBERS = 2 ** 21;

/** The bits of 1. */
const ONE = { float32: 0x3f800000, bfloat16: 0x3f80, float16: 0x3c00 } as const;

let blocksOnce: ReturnType<typeof makeBlocks> | undefined;

/** A matrix of 2.3 million numbers, so that its last block is shorter than the first, and products with it: 20 rows each. */
function severalBlocks() {
  return (blocksOnce ??= makeBlocks());
}

function makeBlocks() {
  const W = wholeNumbers(1117, 2069, 13);
  const [x, y] = [wholeNumbers(20, 1117, 14), wholeNumbers(20, 2069, 15)];
  return { W, x, y, xW: product(x, W).exact, yWt: product(y, transposed(W)).exact };
}

function firstRows({ columns, values }: Matrix, rows: number): Matrix {
  return { rows, columns, values: values.subarray(0, rows * columns) };
}

/** A software WebGPU device, unless everything is wanted. */
function isSlow(device: TestDevice): boolean {
  return device === 'webgpu' && !IS_FULL_ON_WEBGPU;
}

/** On a slow device each type loaded, and one type in each way. */
function casesOn(device: TestDevice): typeof CASES {
  return CASES.filter(({ dtype, way }) => !isSlow(device) || way === 'loaded' || dtype === 'bfloat16');
}

describeEachBackend('a weight', (backend, device) => {
  describe.each(casesOn(device))(
    '$dtype, $way, stored transposed: $isTransposed',
    ({ dtype, way, isTransposed }) => {
      const keep = (logical: Matrix) => KEPT[way](backend(), memorySource(logical, dtype, isTransposed));

      it('multiplies in both directions, exactly where float32 is exact', async () => {
        const size = fc.integer({ min: 1, max: 70 });
        await fc.assert(
          fc.asyncProperty(size, size, size, fc.nat(), async (n, rows, columns, seed) => {
            const W = wholeNumbers(rows, columns, seed);
            using weight = await keep(W);
            expect(weight.shape).toEqual([rows, columns]);
            const x = wholeNumbers(n, rows, seed + 1);
            expectExact(await multiply(weight, x, false), product(x, W).exact);
            const y = wholeNumbers(n, columns, seed + 2);
            expectExact(await multiply(weight, y, true), product(y, transposed(W)).exact);
          }),
          { numRuns: isSlow(device) ? 2 : 15 },
        );
      });

      it('gives single rows, in the order asked for, repeated where asked for, and none for none', async () => {
        const W = wholeNumbers(23, 11, 3);
        using weight = await keep(W);
        for (const list of [[5], [22, 0, 22, 7], []]) {
          const expected = list.flatMap((row) => Array.from(W.values.subarray(row * 11, (row + 1) * 11)));
          const rows = await weight.rows(Int32Array.from(list));
          expect(rows.shape).toEqual([list.length, 11]);
          expectExact(await valuesOf(rows), Float64Array.from(expected));
          using held = await weight.acquire();
          expectExact(await valuesOf(held.rows(Int32Array.from(list))), Float64Array.from(expected));
        }
      });

      it('leaves no tensor behind and gives its memory back', async () => {
        const W = wholeNumbers(40, 30, 9);
        const before = tf.memory().numTensors;
        const weight = await keep(W);
        expect(weight.storedBytes).toBe(40 * 30 * (dtype === 'float32' ? 4 : 2));
        expect(weight.heldBytes).toBe(way === 'loaded' ? weight.storedBytes : 0);
        await multiply(weight, wholeNumbers(3, 40, 1), false);
        await multiply(weight, wholeNumbers(3, 30, 1), true);
        (await weight.rows(Int32Array.of(1, 2))).dispose();
        expect(tf.memory().numTensors).toBe(before);
        {
          using _held = await weight.acquire();
          expect(weight.heldBytes).toBe(weight.storedBytes);
        }
        expect(weight.heldBytes).toBe(way === 'streamed' ? 0 : weight.storedBytes);
        weight[Symbol.dispose]();
        expect(weight.heldBytes).toBe(0);
        expect(tf.memory().numTensors).toBe(before);
      });

      it('multiplies a single row, and no row at all', async () => {
        const W = wholeNumbers(31, 18, 4);
        using weight = await keep(W);
        for (const n of [1, 0]) {
          const [x, y] = [wholeNumbers(n, 31, 5), wholeNumbers(n, 18, 6)];
          expectExact(await multiply(weight, x, false), product(x, W).exact);
          expectExact(await multiply(weight, y, true), product(y, transposed(W)).exact);
        }
      });

      it('lets a gradient through to x and has none itself', async () => {
        const W = wholeNumbers(12, 9, 5);
        const dy = wholeNumbers(4, 9, 6);
        using weight = await keep(W);
        using held = await weight.acquire();
        const [x, seed] = [tensorOf(wholeNumbers(4, 12, 7)), tensorOf(dy)];
        const gradient = tf.grad((input) => held.matMul(input as Tensor2D))(x, seed);
        expectExact(await valuesOf(gradient), product(dy, transposed(W)).exact);
        const backwards = tf.grad((input) => held.matMul(input as Tensor2D, { transpose: true }))(seed, x);
        expectExact(await valuesOf(backwards), product(wholeNumbers(4, 12, 7), W).exact);
        tf.dispose([x, seed]);
      });
    },
  );

  // WebGPU has no blocks: test/backend/webgpu.test.ts splits matrices.
  (isSlow(device) ? describe.skip : describe).each(WEIGHT_TYPES)('with %s numbers', (dtype) => {
    it.each([false, true])(
      'multiplies a matrix of several blocks (stored transposed: %s)',
      async (isTransposed) => {
        const { W, x, xW, y, yWt } = severalBlocks();
        const source = memorySource(W, dtype, isTransposed);
        for (const way of ['loaded', 'streamed'] as const) {
          using weight = await KEPT[way](backend(), source);
          for (const n of [1, 2, 20]) {
            expectExact(await multiply(weight, firstRows(x, n), false), xW.subarray(0, n * W.columns));
            expectExact(await multiply(weight, firstRows(y, n), true), yWt.subarray(0, n * W.rows));
          }
        }
      },
    );

    it('multiplies a matrix whose rows are longer than a block', async () => {
      const [rows, columns, every] = [2, BLOCK_NUMBERS + 3, 1001];
      const words = new (dtype === 'float32' ? Uint32Array : Uint16Array)(rows * columns);
      const isOne = (row: number, column: number): boolean => (row + column) % every === 0; // all else is 0
      for (let row = 0; row < rows; row++)
        for (let column = (every - row) % every; column < columns; column += every)
          words[row * columns + column] = ONE[dtype];
      const source = storedSource(new Uint8Array(words.buffer), [rows, columns], dtype, false);
      using weight = await backend().loadWeight(source);
      const x = matrix(1, rows, (i) => [3, -5][i]!);
      const xW = Float64Array.from(
        { length: columns },
        (_, c) => (isOne(0, c) ? 3 : 0) - (isOne(1, c) ? 5 : 0),
      );
      expectExact(await multiply(weight, x, false), xW);
      const y = matrix(1, columns, (i) => i % 3);
      const yWt = [0, 1].map((row) => y.values.reduce((sum, v, c) => sum + (isOne(row, c) ? v : 0), 0));
      expectExact(await multiply(weight, y, true), yWt);
    });
  });

  it.each(WEIGHT_TYPES)('multiplies many rows with a %s matrix at once', async (dtype) => {
    const W = wholeNumbers(96, 130, 17);
    using weight = await backend().loadWeight(memorySource(W, dtype, false));
    const x = wholeNumbers(300, 96, 18);
    expectExact(await multiply(weight, x, false), product(x, W).exact);
    const y = wholeNumbers(300, 130, 19);
    expectExact(await multiply(weight, y, true), product(y, transposed(W)).exact);
  });

  it.each(WEIGHT_TYPES)(
    'is off by no more than float32 rounding for %s numbers of all sizes',
    async (dtype) => {
      const [rows, columns, n] = [257, 61, 5];
      const next = randomBits(21);
      const real = () => Math.fround((next() / 2 ** 32 - 0.5) * 2 ** ((next() % 12) - 6));
      const stored = Uint16Array.from({ length: rows * columns }, () => {
        const exponent = dtype === 'bfloat16' ? 120 + (next() % 12) : 9 + (next() % 12);
        return (
          ((next() & 1) << 15) |
          (dtype === 'bfloat16' ? (exponent << 7) | (next() & 0x7f) : (exponent << 10) | (next() & 0x3ff))
        );
      });
      const W = matrix(rows, columns, (i) => (dtype === 'float32' ? real() : decode16(stored[i]!, dtype)));
      const x = matrix(n, rows, real);
      using weight = await backend().loadWeight(memorySource(W, dtype, false));
      const found = await multiply(weight, x, false);
      const { exact, magnitude } = product(x, W);
      // Higham, Accuracy and Stability of Numerical Algorithms, section 3.1: |error| <= n·u / (1 - n·u) · |x|·|W|.
      const bound = (rows * UNIT_ROUNDOFF) / (1 - rows * UNIT_ROUNDOFF);
      const worst = Math.max(...found.map((value, i) => Math.abs(value - exact[i]!) / magnitude[i]!));
      expect(worst).toBeLessThanOrEqual(bound);
      expect(worst).toBeGreaterThan(0); // else nothing was rounded and this test shows nothing
    },
  );

  it.each((['bfloat16', 'float16'] as const).flatMap((dtype) => WAYS.map((way) => [dtype, way] as const)))(
    'widens every finite %s number without rounding (%s)',
    async (dtype, way) => {
      const all = Uint16Array.from({ length: 65536 }, (_, bits) => bits);
      const source = storedSource(new Uint8Array(all.buffer), [256, 256], dtype, false);
      using weight = await KEPT[way](backend(), source);
      const found = await valuesOf(await weight.rows(Int32Array.from({ length: 256 }, (_, i) => i)));
      const wrong = [...all].filter((bits) => {
        const expected = decode16(bits, dtype);
        return Number.isFinite(expected) && !Object.is(found[bits], expected);
      });
      expect(wrong.map((bits) => `0x${bits.toString(16)} became ${found[bits]}`)).toEqual([]);
    },
  );

  it('reads single rows from a stream without reading the others', async () => {
    const source = memorySource(wholeNumbers(500, 16, 23), 'float32', false);
    using weight = backend().streamWeight(source);
    (await weight.rows(Int32Array.of(4, 400))).dispose();
    expect(source.readBytes()).toBe(2 * 16 * 4);
  });

  it('refuses an x of the wrong width, and names the weight', async () => {
    using weight = await backend().loadWeight(memorySource(wholeNumbers(4, 6, 1), 'float32', false));
    const wide = multiply(weight, wholeNumbers(1, 5, 1), false);
    await expect(wide).rejects.toThrow(/W_test.*\[1,5\].*\[4,6\]/);
    const narrow = multiply(weight, wholeNumbers(2, 4, 1), true);
    await expect(narrow).rejects.toThrow(/W_test.*\[2,4\].*transpose.*\[4,6\]/);
  });

  it.each(WAYS)('refuses rows that a weight does not have (%s)', async (way) => {
    for (const isTransposed of [false, true]) {
      const source = memorySource(wholeNumbers(4, 6, 1), 'float32', isTransposed);
      using weight = await KEPT[way](backend(), source);
      for (const wrong of [4, -1]) {
        const refusal = { name: 'RangeError', message: expect.stringMatching(/W_test.*row (4|-1)\b.*has 4/) };
        await expect(weight.rows(Int32Array.of(0, wrong))).rejects.toMatchObject(refusal);
        using held = await weight.acquire();
        expect(() => held.rows(Int32Array.of(0, wrong))).toThrow(RangeError);
      }
    }
  });

  it('says which engine it is', () => {
    expect(backend().device).toBe(device);
    expect(backend().version).toMatch(/^(TensorFlow|TF\.js (wasm|webgpu)) \d+\.\d+\.\d+$/);
    expect(backend().arithmetic).toBe('float32');
  });
});
