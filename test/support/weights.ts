/** Weights in the backend tests: the ways in which they are kept, and products with them that are compared exactly. */
import { expect } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import type { Backend, HeldWeight, Tensor2D, Weight, WeightSource } from '../../src/backend/backend.ts';
import type { Matrix } from './matrices.ts';

/** Ways in which a weight is kept. */
export const KEPT = {
  loaded: (backend: Backend, source: WeightSource) => backend.loadWeight(source),
  lazy: (backend: Backend, source: WeightSource) => Promise.resolve(backend.lazyWeight(source)),
  streamed: (backend: Backend, source: WeightSource) => Promise.resolve(backend.streamWeight(source)),
} as const;
export type Way = keyof typeof KEPT;
export const WAYS = Object.keys(KEPT) as Way[];

export function tensorOf(m: Matrix): Tensor2D {
  return tf.tensor2d(new Float32Array(m.values), [m.rows, m.columns]);
}

export async function valuesOf(tensor: tf.Tensor): Promise<number[]> {
  const values = Array.from(await tensor.data());
  tensor.dispose();
  return values;
}

export async function multiplyHeld(held: HeldWeight, x: Matrix, transpose: boolean): Promise<number[]> {
  const input = tensorOf(x);
  try {
    const result = held.matMul(input, { transpose });
    expect(result.shape).toEqual([x.rows, held.shape[transpose ? 0 : 1]]);
    return await valuesOf(result);
  } finally {
    input.dispose();
  }
}

export async function multiply(weight: Weight, x: Matrix, transpose: boolean): Promise<number[]> {
  using held = await weight.acquire();
  expect(held.shape).toEqual(weight.shape);
  return await multiplyHeld(held, x, transpose);
}

export function expectExact(found: ArrayLike<number>, expected: ArrayLike<number>): void {
  expect(found.length).toBe(expected.length);
  const wrong = Array.prototype.findIndex.call(found, (value, i) => value !== expected[i]);
  expect(wrong === -1 ? 'equal' : `element ${wrong} is ${found[wrong]}, not ${expected[wrong]}`).toBe(
    'equal',
  );
}
