/** Model: rotary position embedding over all of d_head, first half paired with second half. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor3D } from '../backend/backend.ts';

/** cos and sin of position / base^(2i / d_head), each [pos, 1, d_head / 2]. */
export interface RotaryTable extends Disposable {
  readonly cos: Tensor3D;
  readonly sin: Tensor3D;
}

/** The table for positions [first, first + n). */
export function rotaryTable(first: number, n: number, d_head: number, base: number): RotaryTable {
  const half = d_head / 2;
  const cos = new Float32Array(n * half);
  const sin = new Float32Array(n * half);
  for (let position = 0; position < n; position++) {
    for (let i = 0; i < half; i++) {
      const angle = (first + position) / base ** ((2 * i) / d_head);
      cos[position * half + i] = Math.cos(angle);
      sin[position * half + i] = Math.sin(angle);
    }
  }
  const table = { cos: tf.tensor3d(cos, [n, 1, half]), sin: tf.tensor3d(sin, [n, 1, half]) };
  return {
    ...table,
    [Symbol.dispose]() {
      table.cos.dispose();
      table.sin.dispose();
    },
  };
}

/** Rotates x [pos, heads, d_head] by the angles of its positions. */
export function rotate(x: Tensor3D, table: RotaryTable): Tensor3D {
  const [first, second] = tf.split(x, 2, 2) as [Tensor3D, Tensor3D];
  const { cos, sin } = table;
  return tf.concat(
    [
      tf.sub<Tensor3D>(tf.mul(first, cos), tf.mul(second, sin)),
      tf.add<Tensor3D>(tf.mul(second, cos), tf.mul(first, sin)),
    ],
    2,
  );
}
