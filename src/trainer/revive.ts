/** Trainer: dead features begin again, at tokens that are badly rebuilt. */
import * as tf from '@tensorflow/tfjs-core';
import type { SparseProducts, Tensor2D } from '../backend/backend.ts';
import { Random } from '../random.ts';
import { choose } from './choice.ts';
import type { Coder } from './coder.ts';
import { writtenBy, type LayerBatch } from './gradients.ts';
import type { DeviceParameter } from './optimizer.ts';
import type { Recipe } from './recipe.ts';

/** Several features begin at similar tokens and are active together, so each writes only a part of what is missing. */
const WRITTEN_SHARE = 0.2;
/** No feature begins again in the last part of a training: it has to be trained for some time. */
export const REVIVING_SHARE = 0.75;

export interface Missing {
  /** Normalised inputs [n, d_model]. */
  readonly x: Tensor2D;
  /** What is written less what is wanted, in all layers that the coder writes into, [n, n_written · d_model]. */
  readonly error: Tensor2D;
}

/** What all coders of a group write less what is wanted, in the layers that one of them writes into. Belongs to the caller. */
export function missingOf(
  sparse: SparseProducts,
  recipe: Recipe,
  coder: Coder,
  group: readonly Coder[],
  batch: ReadonlyMap<number, LayerBatch>,
): Tensor2D {
  return tf.tidy(() => {
    const steps = group.map((one) => {
      const { x } = batch.get(one.layer)!;
      return { coder: one, x, choice: choose(sparse, one.preActivations(x), recipe, one.threshold()) };
    });
    const written = writtenBy(sparse, steps);
    const errors = Array.from({ length: coder.n_written }, (_, i) =>
      tf.sub<Tensor2D>(written.get(coder.layer + i)!, batch.get(coder.layer + i)!.y),
    );
    return tf.concat<Tensor2D>(errors, 1);
  });
}

/**
 * Each dead feature is aimed at a token drawn in proportion to its squared error: it reads the token's input and writes a part of
 * what is missing there. Returns how many there were. The same seed and step give the same draws.
 */
export async function revive(
  coder: Coder,
  recipe: Recipe,
  { x, error }: Missing,
  step: number,
): Promise<number> {
  const idle = await coder.idle.data<'float32'>();
  const dead = [...idle.keys()].filter((feature) => idle[feature]! >= recipe.deadAfterTokens);
  if (dead.length === 0) return 0;
  const [inputs, errors] = [await x.data<'float32'>(), await error.data<'float32'>()];
  const [n, d_model] = x.shape;
  const columns = error.shape[1];
  const squares = Array.from({ length: n }, (_, i) =>
    errors.subarray(i * columns, (i + 1) * columns).reduce((sum, e) => sum + e * e, 0),
  );
  const random = new Random(recipe.seed ^ Math.imul(step, STEP_STRIDE) ^ coder.layer);
  const tokens = new Map(
    dead.map((feature) => [feature, random.weighted(TOKENS(n), (token) => squares[token]!)]),
  );
  const read = new Map<number, Float32Array>();
  const write = new Map<number, Float32Array>();
  for (const [feature, token] of tokens) {
    const input = inputs.subarray(token * d_model, (token + 1) * d_model);
    const length = Math.sqrt(input.reduce((sum, value) => sum + value * value, 0)) || 1;
    // Rows of encoders begin with length 1 (`Coder`); the pre-activation at the token is then the length of its input.
    read.set(
      feature,
      input.map((value) => value / length),
    );
    const wanted = errors.subarray(token * columns, (token + 1) * columns);
    write.set(
      feature,
      wanted.map((value) => (-WRITTEN_SHARE * value) / length),
    );
  }
  setRows(coder.W_enc, recipe, read);
  setRows(coder.W_dec, recipe, write);
  setRows(coder.b_enc, recipe, new Map(dead.map((feature) => [feature, ZERO])));
  coder.wake(dead);
  return dead.length;
}

const STEP_STRIDE = 0x85ebca6b;
const ZERO = new Float32Array(1);
const TOKENS = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/** Rows of a parameter get new values, and running means of 0. All other rows stay on the device as they are. */
function setRows(
  parameter: DeviceParameter,
  { optimizer }: Recipe,
  rows: ReadonlyMap<number, Float32Array>,
): void {
  const [n_rows = 0, ...inner] = parameter.value.shape;
  const isSet = new Float32Array(n_rows);
  for (const row of rows.keys()) isSet[row] = 1;
  const values = new Float32Array(rows.size * (parameter.value.size / n_rows));
  [...rows.values()].forEach((row, i) => values.set(row, i * row.length));
  const next = tf.tidy(() => {
    const mask = tf.greater(tf.tensor(isSet, [n_rows, ...inner.map(() => 1)]), 0);
    const at = tf.tensor2d(Int32Array.from(rows.keys()), [rows.size, 1], 'int32');
    const given = tf.scatterND(at, tf.tensor(values, [rows.size, ...inner]), parameter.value.shape);
    return parameter
      .tensors(optimizer)
      .map(([, tensor], i) => tf.where(mask, i === 0 ? given : tf.zerosLike(tensor), tensor));
  });
  parameter.replace(next);
  parameter.normalise();
}
