/** Model: rotary position embedding, first half of the rotated entries of a head paired with the second half. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor3D } from '../backend/backend.ts';
import type { AttentionType } from './block-spec.ts';
import { scaledFrequencies, type RotaryScaling } from './rope-scaling.ts';

/** Rotation of queries and keys. */
export interface Rotary {
  /** Entries of a head that are rotated; the others pass unchanged. */
  readonly dim: number;
  readonly base: number;
  readonly scaling: RotaryScaling | null;
}

/** The same rotation in all layers. */
export function sameRotary(
  dim: number,
  base: number,
  scaling: RotaryScaling | null = null,
): Record<AttentionType, Rotary> {
  const rotary = { dim, base, scaling };
  return { local: rotary, global: rotary };
}

/** cos and sin of position · frequency, each [pos, 1, dim / 2], times the factor of the scaling. */
export interface RotaryTable extends Disposable {
  readonly cos: Tensor3D;
  readonly sin: Tensor3D;
}

/** The table for positions [first, first + n). */
export function rotaryTable(first: number, n: number, { dim, base, scaling }: Rotary): RotaryTable {
  const half = dim / 2;
  const divisors = Float64Array.from({ length: half }, (_, i) => base ** ((2 * i) / dim));
  const { frequencies, factor } = scaledFrequencies(divisors, base, scaling);
  const cos = new Float32Array(n * half);
  const sin = new Float32Array(n * half);
  for (let position = 0; position < n; position++) {
    for (let i = 0; i < half; i++) {
      const angle = frequencies ? (first + position) * frequencies[i]! : (first + position) / divisors[i]!;
      cos[position * half + i] = factor * Math.cos(angle);
      sin[position * half + i] = factor * Math.sin(angle);
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
export function rotate(x: Tensor3D, { cos, sin }: RotaryTable): Tensor3D {
  const [n, heads, d_head] = x.shape;
  const dim = 2 * cos.shape[2];
  const [rotated, rest] =
    dim === d_head
      ? [x, null]
      : [
          tf.slice<tf.Rank.R3, Tensor3D>(x, [0, 0, 0], [n, heads, dim]),
          tf.slice<tf.Rank.R3, Tensor3D>(x, [0, 0, dim]),
        ];
  const [first, second] = tf.split(rotated, 2, 2) as [Tensor3D, Tensor3D];
  return tf.concat(
    [
      tf.sub<Tensor3D>(tf.mul(first, cos), tf.mul(second, sin)),
      tf.add<Tensor3D>(tf.mul(second, cos), tf.mul(first, sin)),
      ...(rest ? [rest] : []),
    ],
    2,
  );
}
