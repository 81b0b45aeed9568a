/** Backend: sums of matrices in memory of this process. */
import type { MatrixSum } from './matrix-sum.ts';

export function hostSum(rows: number, columns: number): MatrixSum {
  const sum = new Float32Array(rows * columns);
  return {
    async add(matrix, parts, firstRow) {
      const [n, width] = matrix.shape;
      const values = await matrix.data<'float32'>();
      let from = 0;
      for (const part of parts) {
        for (let row = 0; row < n; row++) {
          for (let i = 0; i < part.length; i++) {
            sum[(firstRow + row) * columns + part[i]!]! += values[row * width + from + i]!;
          }
        }
        from += part.length;
      }
    },
    read: () => Promise.resolve(sum),
    [Symbol.dispose]: () => undefined,
  };
}
