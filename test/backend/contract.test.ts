/** What every backend promises about parameters, one suite for all of them. */
import { describe, expect, it } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import type { Backend, Tensor2D, Weight, WeightSource } from '../../src/backend/backend.ts';
import { describeEachBackend } from '../support/backends.ts';
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
} from '../support/matrices.ts';

/** Ways in which a weight is kept. */
const KEPT = {
  loaded: (backend: Backend, source: WeightSource) => backend.loadWeight(source),
  streamed: (backend: Backend, source: WeightSource) => Promise.resolve(backend.streamWeight(source)),
} as const;
const WAYS = Object.keys(KEPT) as (keyof typeof KEPT)[];

const CASES = WEIGHT_TYPES.flatMap((dtype) =>
  WAYS.flatMap((way) => [false, true].map((isTransposed) => ({ dtype, way, isTransposed }))),
);

/** Half the distance from 1 to the next float32: the largest relative error of one operation. */
const UNIT_ROUNDOFF = 2 ** -24;

function tensorOf(m: Matrix): Tensor2D {
  return tf.tensor2d(new Float32Array(m.values), [m.rows, m.columns]);
}

async function valuesOf(tensor: tf.Tensor): Promise<number[]> {
  const values = Array.from(await tensor.data());
  tensor.dispose();
  return values;
}

async function multiply(weight: Weight, x: Matrix, transpose: boolean): Promise<number[]> {
  using held = await weight.acquire();
  const input = tensorOf(x);
  const result = held.matMul(input, { transpose });
  input.dispose();
  expect(result.shape).toEqual([x.rows, weight.shape[transpose ? 0 : 1]]);
  return valuesOf(result);
}

function expectExact(found: number[], expected: Float64Array): void {
  expect(found.length).toBe(expected.length);
  const wrong = found.findIndex((value, i) => value !== expected[i]);
  expect(wrong === -1 ? 'equal' : `element ${wrong} is ${found[wrong]}, not ${expected[wrong]}`).toBe(
    'equal',
  );
}

describeEachBackend('a weight', (backend, device) => {
  describe.each(CASES)('$dtype, $way, stored transposed: $isTransposed', ({ dtype, way, isTransposed }) => {
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
        { numRuns: 15 },
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
      const heldBetweenUses = way === 'loaded' ? weight.storedBytes : 0;
      expect(weight.heldBytes).toBe(heldBetweenUses);
      await multiply(weight, wholeNumbers(3, 40, 1), false);
      await multiply(weight, wholeNumbers(3, 30, 1), true);
      (await weight.rows(Int32Array.of(1, 2))).dispose();
      expect(tf.memory().numTensors).toBe(before);
      {
        using _held = await weight.acquire();
        expect(weight.heldBytes).toBe(weight.storedBytes);
      }
      expect(weight.heldBytes).toBe(heldBetweenUses);
      weight[Symbol.dispose]();
      expect(weight.heldBytes).toBe(0);
      expect(tf.memory().numTensors).toBe(before);
    });

    it('lets a gradient through to x and has none itself', async () => {
      const W = wholeNumbers(12, 9, 5);
      const dy = wholeNumbers(4, 9, 6);
      using weight = await keep(W);
      using held = await weight.acquire();
      const [x, seed] = [tensorOf(wholeNumbers(4, 12, 7)), tensorOf(dy)];
      const gradient = tf.grad((input) => held.matMul(input as Tensor2D))(x, seed);
      expectExact(await valuesOf(gradient), product(dy, transposed(W)).exact);
      tf.dispose([x, seed]);
    });
  });

  it.each(WEIGHT_TYPES)('multiplies a %s matrix that takes several blocks', async (dtype) => {
    // 2.3 million numbers: one block holds 2^21 of them, so the last one is shorter than the others.
    const W = wholeNumbers(1117, 2069, 13);
    for (const isTransposed of [false, true]) {
      using weight = await backend().loadWeight(memorySource(W, dtype, isTransposed));
      for (const n of [2, 20]) {
        const x = wholeNumbers(n, 1117, 14);
        expectExact(await multiply(weight, x, false), product(x, W).exact);
        const y = wholeNumbers(n, 2069, 15);
        expectExact(await multiply(weight, y, true), product(y, transposed(W)).exact);
      }
    }
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

  it.each(['bfloat16', 'float16'] as const)(
    'widens every finite %s number without rounding',
    async (dtype) => {
      const all = Uint16Array.from({ length: 65536 }, (_, bits) => bits);
      const source = storedSource(new Uint8Array(all.buffer), [256, 256], dtype, false);
      using weight = await backend().loadWeight(source);
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

  it('refuses to be used after it was disposed', async () => {
    const weight = await backend().loadWeight(memorySource(wholeNumbers(4, 4, 1), 'float32', false));
    weight[Symbol.dispose]();
    await expect(multiply(weight, wholeNumbers(1, 4, 1), false)).rejects.toThrow(/disposed/);
  });

  it('refuses an x of the wrong width', async () => {
    using weight = await backend().loadWeight(memorySource(wholeNumbers(4, 6, 1), 'float32', false));
    await expect(multiply(weight, wholeNumbers(1, 5, 1), false)).rejects.toThrow(/\[1,5\].*\[4,6\]/);
  });

  it('says which engine it is', () => {
    expect(backend().device).toBe(device);
    expect(backend().version).toMatch(/^(TensorFlow|TF\.js wasm) \d+\.\d+\.\d+$/);
    expect(backend().arithmetic).toBe('float32');
  });
});
