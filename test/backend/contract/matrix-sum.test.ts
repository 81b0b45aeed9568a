/** What every backend promises about sums of matrices. */
import { expect, it } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { describeEachBackend } from '../../support/backends.ts';
import { wholeNumbers } from '../../support/matrices.ts';
import { tensorOf } from '../../support/weights.ts';

const [ROWS, COLUMNS] = [7, 50];

/** Every step-th column from `first` on. */
function columns(count: number, first: number, step: number): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => (first + i * step) % COLUMNS);
}

describeEachBackend('a sum of matrices', (backend) => {
  it('has what was added to its rows and columns, one addition after the other, and zeros', async () => {
    const before = tf.memory().numTensors;
    const expected = new Float32Array(ROWS * COLUMNS);
    using sum = backend().matrixSum(ROWS, COLUMNS);
    const additions = [
      { n: 3, firstRow: 0, parts: [columns(4, 0, 3), columns(1, 49, 1), columns(6, 1, 3)] },
      { n: 2, firstRow: 5, parts: [columns(30, 17, 7)] },
      { n: 5, firstRow: 1, parts: [columns(9, 2, 1)] },
      { n: 1, firstRow: 6, parts: [columns(50, 3, 1)] },
      { n: 2, firstRow: 0, parts: [new Int32Array(0), columns(2, 4, 9)] },
      { n: 2, firstRow: 0, parts: [] },
      // As tokens at each position: the same columns again and again.
      { n: 4, firstRow: 2, parts: [1, 2, 3, 4, 30].map((count) => columns(count, 20, 1)) },
    ];
    for (const [seed, { n, firstRow, parts }] of additions.entries()) {
      const targets = parts.flatMap((part) => Array.from(part));
      const values = wholeNumbers(n, targets.length, seed + 1);
      for (let row = 0; row < n; row++)
        targets.forEach((column, i) => {
          expected[(firstRow + row) * COLUMNS + column]! += values.values[row * targets.length + i]!;
        });
      const matrix = tensorOf(values);
      await sum.add(matrix, parts, firstRow);
      matrix.dispose();
    }
    expect(await sum.read()).toEqual(expected);
    sum[Symbol.dispose]();
    expect(tf.memory().numTensors).toBe(before);
  });

  it('is zeros where nothing was added, or empty', async () => {
    using sum = backend().matrixSum(2, 3);
    expect(await sum.read()).toEqual(new Float32Array(6));
    using empty = backend().matrixSum(0, 3);
    expect(await empty.read()).toEqual(new Float32Array(0));
  });
});
