/**
 * Backend: products with a matrix of which each row of the other operand meets a few rows only: what TopK features write, and the
 * gradients of it. On any engine, with TF.js' ops, in blocks that bound what is gathered.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { SparseProducts, Tensor2D } from './backend.ts';

/** Numbers that are gathered at a time: 16 MiB, which stay in the cache of a processor until they are multiplied. */
const BLOCK_NUMBERS = 4 * 2 ** 20;

export const genericSparse: SparseProducts = {
  weightedSum({ values, indices }, W) {
    return inBlocks(indices, W, (start, n) => {
      const rows = gathered(W, indices, start, n);
      const weights = tf.reshape(part(values, start, n), [n, 1, values.shape[1]]);
      return tf.reshape<tf.Rank.R2>(tf.matMul(weights, rows), [n, W.shape[1]]);
    });
  },
  dot(g, indices, W) {
    return inBlocks(indices, W, (start, n) => {
      const rows = gathered(W, indices, start, n);
      const column = tf.reshape(part(g, start, n), [n, W.shape[1], 1]);
      return tf.reshape<tf.Rank.R2>(tf.matMul(rows, column), [n, indices.shape[1]]);
    });
  },
  scatter({ values, indices }, x, rows) {
    const [n_tokens, m] = indices.shape;
    const columns = x.shape[1];
    return tf.tidy(() => {
      let sum: Tensor2D = tf.zeros([rows, columns]);
      for (const { start, n } of blocksOf(n_tokens, m * columns)) {
        sum = tf.tidy(() => {
          const outer = tf.mul(
            tf.reshape(part(values, start, n), [n, m, 1]),
            tf.reshape(part(x, start, n), [n, 1, columns]),
          );
          const at = tf.reshape(part(indices, start, n), [n * m, 1]);
          const added = tf.scatterND(at, tf.reshape(outer, [n * m, columns]), [rows, columns]);
          const next = tf.add<Tensor2D>(sum, added);
          sum.dispose();
          return next;
        });
      }
      return sum;
    });
  },
  largest(values, m) {
    const { values: best, indices } = tf.topk(values, m);
    return { values: best, indices };
  },
};

function part(matrix: Tensor2D, start: number, n: number): Tensor2D {
  return tf.slice<tf.Rank.R2, Tensor2D>(matrix, [start, 0], [n, matrix.shape[1]]);
}

/** [n, m, columns] */
function gathered(W: Tensor2D, indices: Tensor2D, start: number, n: number): tf.Tensor3D {
  const m = indices.shape[1];
  const flat = tf.reshape<tf.Rank.R1>(part(indices, start, n), [n * m]);
  return tf.reshape<tf.Rank.R3>(tf.gather(W, flat), [n, m, W.shape[1]]);
}

function inBlocks(indices: Tensor2D, W: Tensor2D, block: (start: number, n: number) => Tensor2D): Tensor2D {
  const [n_tokens, m] = indices.shape;
  return tf.tidy(() => {
    const parts = blocksOf(n_tokens, m * W.shape[1]).map(({ start, n }) => tf.tidy(() => block(start, n)));
    return parts.length === 1 ? parts[0]! : tf.concat(parts, 0);
  });
}

function blocksOf(n_tokens: number, numbersAToken: number): { start: number; n: number }[] {
  const atOnce = Math.max(1, Math.floor(BLOCK_NUMBERS / numbersAToken));
  return Array.from({ length: Math.ceil(n_tokens / atOnce) }, (_, i) => ({
    start: i * atOnce,
    n: Math.min(atOnce, n_tokens - i * atOnce),
  }));
}
