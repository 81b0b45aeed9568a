/** What every backend promises about the memory of parameters: when they are read, to whom they are lent, when they are freed. */
import { describe, expect, it } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D, Weight, WeightSource } from '../../../src/backend/backend.ts';
import { describeEachBackend } from '../../support/backends.ts';
import { memorySource, product, wholeNumbers, type Matrix } from '../../support/matrices.ts';
import {
  expectExact,
  KEPT,
  multiply,
  multiplyHeld,
  tensorOf,
  valuesOf,
  WAYS,
} from '../../support/weights.ts';

const [ROWS, COLUMNS] = [19, 24];
const STORED_BYTES = ROWS * COLUMNS * 2;

const W = wholeNumbers(ROWS, COLUMNS, 1);
const x = wholeNumbers(3, ROWS, 2);
const xW = product(x, W).exact;

function source(logical: Matrix = W, isTransposed = false) {
  return memorySource(logical, 'bfloat16', isTransposed);
}

/** A source whose readings wait until `letThrough` or `fail` is called. */
function slowSource(inner: WeightSource) {
  let reading = 0;
  let settle: { resolve: () => void; reject: (reason: Error) => void } | undefined;
  const begun = new Set<() => void>();
  return {
    ...inner,
    /** Resolves when a reading has begun. */
    begun: () => new Promise<void>((resolve) => (settle ? resolve() : begun.add(resolve))),
    nReadings: () => reading,
    letThrough: () => settle!.resolve(),
    fail: (reason: Error) => settle!.reject(reason),
    async readInto(target: Uint8Array, rows: { readonly start: number; readonly stop: number }) {
      reading += 1;
      await new Promise<void>((resolve, reject) => {
        settle = { resolve, reject };
        for (const notify of begun) notify();
        begun.clear();
      });
      settle = undefined;
      await inner.readInto(target, rows);
    },
  };
}

async function refusal(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'it was not refused',
    (error: Error) => error.message,
  );
}

const AFTER_DISPOSAL = /^W_test \(bfloat16\) was used after it was disposed$/;
const AFTER_GIVING_BACK = /^W_test \(bfloat16\) was used after its loan was disposed$/;

describeEachBackend('a loan of a weight', (backend) => {
  describe.each(WAYS)('that is %s', (way) => {
    const keep = (logical?: Matrix, isTransposed?: boolean) =>
      KEPT[way](backend(), source(logical, isTransposed));

    it('is refused once it was given back', async () => {
      using weight = await keep();
      const held = await weight.acquire();
      const input = tensorOf(x);
      held[Symbol.dispose]();
      expect(() => held.matMul(input)).toThrow(AFTER_GIVING_BACK);
      expect(() => held.rows(Int32Array.of(0))).toThrow(AFTER_GIVING_BACK);
      input.dispose();
      expectExact(await multiply(weight, x, false), xW); // the weight can be lent again
    });

    it('may be given back twice, and takes nothing from the loans of others', async () => {
      const others = [3, 4].map((seed) => wholeNumbers(ROWS, COLUMNS, seed));
      using weight = await keep();
      using second = await keep(others[0]);
      using third = await keep(others[1]);
      const held = await weight.acquire();
      held[Symbol.dispose]();
      using heldSecond = await second.acquire();
      held[Symbol.dispose]();
      using heldThird = await third.acquire();
      expectExact(await multiplyHeld(heldSecond, x, false), product(x, others[0]!).exact);
      expectExact(await multiplyHeld(heldThird, x, false), product(x, others[1]!).exact);
    });

    it('may be given back twice while another loan of the same weight is out', async () => {
      using weight = await keep();
      const [first, second] = [await weight.acquire(), await weight.acquire()];
      expect(weight.heldBytes).toBe(STORED_BYTES);
      first[Symbol.dispose]();
      first[Symbol.dispose]();
      expect(weight.heldBytes).toBe(STORED_BYTES);
      expectExact(await multiplyHeld(second, x, false), xW);
      second[Symbol.dispose]();
      expect(weight.heldBytes).toBe(way === 'streamed' ? 0 : STORED_BYTES);
      expectExact(await multiply(weight, x, false), xW);
    });

    it('ends with the disposal of the weight', async () => {
      const weight = await keep();
      const held = await weight.acquire();
      const input = tensorOf(x);
      weight[Symbol.dispose]();
      expect(weight.heldBytes).toBe(0);
      expect(() => held.matMul(input)).toThrow(AFTER_DISPOSAL);
      expect(() => held.rows(Int32Array.of(0))).toThrow(AFTER_DISPOSAL);
      held[Symbol.dispose]();
      weight[Symbol.dispose]();
      expect(weight.heldBytes).toBe(0);
      input.dispose();
    });

    it('does not let a gradient be taken after it was given back', async () => {
      using weight = await keep();
      const held = await weight.acquire();
      const input = tensorOf(x);
      const late = () =>
        tf.grad((value) => {
          const result = held.matMul(value as Tensor2D);
          held[Symbol.dispose]();
          return result;
        })(input);
      expect(late).toThrow(AFTER_GIVING_BACK);
      input.dispose();
    });

    it('cannot be acquired from a disposed weight, nor can rows', async () => {
      const weight = await keep();
      weight[Symbol.dispose]();
      expect(await refusal(weight.acquire())).toMatch(AFTER_DISPOSAL);
      expect(await refusal(weight.rows(Int32Array.of(0)))).toMatch(AFTER_DISPOSAL);
      expect(weight.heldBytes).toBe(0);
    });

    it('is right in memory that disposed weights of other sizes used before', async () => {
      for (const seed of [5, 6, 7]) {
        const logical = wholeNumbers(ROWS + seed, COLUMNS, seed); // larger and larger: memory used again has room to spare
        const input = wholeNumbers(2, ROWS + seed, 8);
        for (const isTransposed of [false, true]) {
          using weight = await keep(logical, isTransposed);
          expectExact(await multiply(weight, input, false), product(input, logical).exact);
          const row = await valuesOf(await weight.rows(Int32Array.of(seed)));
          expectExact(row, logical.values.subarray(seed * COLUMNS, (seed + 1) * COLUMNS));
        }
        using small = await keep(wholeNumbers(3, 5, seed), true);
        expectExact(
          await valuesOf(await small.rows(Int32Array.of(2))),
          wholeNumbers(3, 5, seed).values.subarray(10, 15),
        );
      }
    });
  });

  it('of a streamed weight shares the reading of one that is out; a later one reads again', async () => {
    const counted = source();
    using weight = backend().streamWeight(counted);
    const loans = await Promise.all([weight.acquire(), weight.acquire()]);
    loans.push(await weight.acquire());
    expect(counted.readBytes()).toBe(STORED_BYTES);
    (await weight.rows(Int32Array.of(3))).dispose(); // it is in memory already
    expect(counted.readBytes()).toBe(STORED_BYTES);
    for (const loan of loans) loan[Symbol.dispose]();
    (await weight.acquire())[Symbol.dispose]();
    expect(counted.readBytes()).toBe(2 * STORED_BYTES);
  });

  it('of a lazy weight reads once, and nothing before the first', async () => {
    const counted = source();
    using weight = backend().lazyWeight(counted);
    expect(counted.readBytes()).toBe(0);
    (await weight.rows(Int32Array.of(3))).dispose();
    expect([counted.readBytes(), weight.heldBytes]).toEqual([COLUMNS * 2, 0]);
    for (const loan of await Promise.all([weight.acquire(), weight.acquire()])) loan[Symbol.dispose]();
    (await weight.acquire())[Symbol.dispose]();
    (await weight.rows(Int32Array.of(3))).dispose();
    expect([counted.readBytes(), weight.heldBytes]).toEqual([COLUMNS * 2 + STORED_BYTES, STORED_BYTES]);
  });

  describe.each(['lazy', 'streamed'] as const)('that is %s and being read', (way) => {
    const keep = async () => {
      const slow = slowSource(source());
      const weight = await KEPT[way](backend(), slow);
      return { slow, weight };
    };

    it('is refused, and holds nothing, when the weight is disposed meanwhile', async () => {
      const { slow, weight } = await keep();
      const waiting = [weight.acquire(), weight.acquire()].map(refusal);
      await slow.begun();
      weight[Symbol.dispose]();
      slow.letThrough();
      for (const reason of await Promise.all(waiting)) expect(reason).toMatch(AFTER_DISPOSAL);
      expect(weight.heldBytes).toBe(0);
      expect(slow.nReadings()).toBe(1);
    });

    it('fails for all who wait when the reading fails, and the next one reads again', async () => {
      const { slow, weight } = await keep();
      const waiting = [weight.acquire(), weight.acquire()].map(refusal);
      await slow.begun();
      slow.fail(new Error('the disk is gone'));
      expect(await Promise.all(waiting)).toEqual(['the disk is gone', 'the disk is gone']);
      expect(weight.heldBytes).toBe(0);
      const again = multiply(weight, x, false);
      await slow.begun();
      slow.letThrough();
      expectExact(await again, xW);
      expect(slow.nReadings()).toBe(2);
      weight[Symbol.dispose]();
    });

    it('serves all callers that waited for one reading', async () => {
      const { slow, weight } = await keep();
      const uses = [1, 2, 3].map(() => multiply(weight, x, false));
      await slow.begun();
      slow.letThrough();
      for (const found of await Promise.all(uses)) expectExact(found, xW);
      expect(weight.heldBytes).toBe(way === 'streamed' ? 0 : STORED_BYTES);
      weight[Symbol.dispose]();
    });
  });

  it('can be acquired from many streamed weights at the same time', async () => {
    const logical = [11, 12, 13, 14].map((seed) => wholeNumbers(ROWS, COLUMNS, seed));
    const weights: Weight[] = logical.map((one) => backend().streamWeight(source(one)));
    for (let round = 0; round < 3; round++) {
      const loans = await Promise.all(weights.map((weight) => weight.acquire()));
      for (const [i, loan] of loans.entries())
        expectExact(await multiplyHeld(loan, x, false), product(x, logical[i]!).exact);
      for (const loan of loans) loan[Symbol.dispose]();
    }
    for (const weight of weights) weight[Symbol.dispose]();
  });
});
