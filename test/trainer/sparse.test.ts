/** Products in which each token meets a few rows of a matrix agree with dense ones, on every backend. */
import { expect, it } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import type { SparseProducts, Tensor2D } from '../../src/backend/backend.ts';
import { genericSparse } from '../../src/backend/sparse.ts';
import { Random } from '../../src/random.ts';
import { describeEachBackend } from '../support/backends.ts';

const random = new Random(5);
const N = 37;
const M = 6;
const ROWS = 50;
const COLUMNS = 24;
const values = random.normals(N * M, 1);
const indices = Int32Array.from({ length: N * M }, () => random.below(ROWS)); // with repeats
const W = random.normals(ROWS * COLUMNS, 1);
const x = random.normals(N * COLUMNS, 1);

describeEachBackend('Sparse products', (backend) => {
  const each = (): [string, SparseProducts][] => [
    ['its own', backend().sparse],
    ['generic', genericSparse],
  ];
  const tensors = () => ({
    values: tf.tensor2d(values, [N, M]),
    indices: tf.tensor2d(indices, [N, M], 'int32'),
  });
  const matrix = (): Tensor2D => tf.tensor2d(W, [ROWS, COLUMNS]);
  const inputs = (): Tensor2D => tf.tensor2d(x, [N, COLUMNS]);

  it('add up rows by weight', async () => {
    const expected = new Float64Array(N * COLUMNS);
    for (let i = 0; i < N * M; i++)
      for (let c = 0; c < COLUMNS; c++)
        expected[Math.floor(i / M) * COLUMNS + c]! += values[i]! * W[indices[i]! * COLUMNS + c]!;
    for (const [name, sparse] of each())
      await close(name, sparse.weightedSum(tensors(), matrix()), expected, [N, COLUMNS]);
  });

  it('multiply a vector with the rows that it names', async () => {
    const expected = new Float64Array(N * M);
    for (let i = 0; i < N * M; i++)
      for (let c = 0; c < COLUMNS; c++)
        expected[i]! += x[Math.floor(i / M) * COLUMNS + c]! * W[indices[i]! * COLUMNS + c]!;
    for (const [name, sparse] of each())
      await close(name, sparse.dot(inputs(), tensors().indices, matrix()), expected, [N, M]);
  });

  it('scatter weighted vectors to rows, which add up', async () => {
    const expected = new Float64Array(ROWS * COLUMNS);
    for (let i = 0; i < N * M; i++)
      for (let c = 0; c < COLUMNS; c++)
        expected[indices[i]! * COLUMNS + c]! += values[i]! * x[Math.floor(i / M) * COLUMNS + c]!;
    for (const [name, sparse] of each())
      await close(name, sparse.scatter(tensors(), inputs(), ROWS), expected, [ROWS, COLUMNS]);
  });

  it('find the largest of each row, the first of equal ones', async () => {
    const rows = [3, -1, 7, 7, 2, 0, -5, -2, -2, -9];
    for (const [name, sparse] of each()) {
      const { values: best, indices: at } = sparse.largest(tf.tensor2d(rows, [2, 5]), 3);
      await close(name, best, Float64Array.of(7, 7, 3, 0, -2, -2), [2, 3]);
      expect([name, at.dtype, ...(await at.data())]).toEqual([name, 'int32', 2, 3, 0, 0, 2, 3]);
    }
  });

  it('find the largest of long rows with equal numbers as sorting does', async () => {
    const [rows, columns] = [5, 700];
    const numbers = Float32Array.from({ length: rows * columns }, () => random.below(40) - 20);
    for (const [name, sparse] of each()) {
      for (const m of [1, 33, 400, columns]) {
        const { values: best, indices: at } = sparse.largest(tf.tensor2d(numbers, [rows, columns]), m);
        const expected = Array.from({ length: rows }, (_, row) => {
          const own = numbers.subarray(row * columns, (row + 1) * columns);
          return [...own.keys()].sort((a, b) => own[b]! - own[a]! || a - b).slice(0, m);
        }).flat();
        const values = expected.map((place, i) => numbers[Math.floor(i / m) * columns + place]!);
        expect([name, ...(await best.data())]).toEqual([name, ...values]);
        if (name === 'its own') expect([m, ...(await at.data())]).toEqual([m, ...expected]);
      }
    }
  });
});

async function close(
  name: string,
  found: Tensor2D,
  expected: Float64Array,
  shape: readonly number[],
): Promise<void> {
  expect([name, ...found.shape]).toEqual([name, ...shape]);
  const numbers = await found.data<'float32'>();
  for (const [i, number] of numbers.entries()) expect(number).toBeCloseTo(expected[i]!, 4);
}
