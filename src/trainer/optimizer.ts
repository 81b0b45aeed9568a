/** Trainer: parameters that stay on the device, with the running means of their gradients, and the step that changes them. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor2D } from '../backend/backend.ts';
import { unreachable } from '../errors.ts';
import type { TrainOptimizer } from './recipe.ts';

/** Adam (Kingma and Ba, 2015). */
const BETA1 = 0.9;
const BETA2 = 0.999;
const EPSILON = 1e-8;
/** Signum (Bernstein et al., 2018): the sign of the running mean. */
const SIGNUM_BETA = 0.9;

/** Names of the running means that an optimiser keeps. */
const MOMENTS: Readonly<Record<TrainOptimizer, readonly string[]>> = {
  adam: ['mean', 'square'],
  signum: ['mean'],
};

/** A parameter on the device. Dispose it. */
export class DeviceParameter<T extends Tensor = Tensor> implements Disposable {
  readonly name: string;
  /** Rows are kept at length 1, and the part of the gradient along them is removed. */
  readonly hasUnitRows: boolean;
  #value: T;
  #moments: Tensor[];

  constructor(name: string, value: T, optimizer: TrainOptimizer, hasUnitRows = false) {
    this.name = name;
    this.hasUnitRows = hasUnitRows;
    this.#value = tf.keep(hasUnitRows ? withUnitRows(value as Tensor as Tensor2D) : value) as T;
    this.#moments = MOMENTS[optimizer].map(() => tf.keep(tf.zerosLike(value as Tensor)));
  }

  get value(): T {
    return this.#value;
  }

  /** The tensors that a checkpoint keeps, by name. */
  tensors(optimizer: TrainOptimizer): readonly (readonly [name: string, tensor: Tensor])[] {
    return [
      [this.name, this.#value],
      ...MOMENTS[optimizer].map((name, i) => [`${this.name}.${name}`, this.#moments[i]!] as const),
    ];
  }

  /** Takes tensors in the order of `tensors`; they belong to the parameter from then on. */
  replace([value, ...moments]: readonly Tensor[]): void {
    tf.dispose([this.#value, ...this.#moments]);
    this.#value = tf.keep(value!) as T;
    this.#moments = moments.map((moment) => tf.keep(moment));
  }

  /** Rows that have to have length 1 get it. */
  normalise(): void {
    if (!this.hasUnitRows) return;
    const next = tf.tidy(() => withUnitRows(this.#value as Tensor as Tensor2D));
    this.#value.dispose();
    this.#value = tf.keep(next) as Tensor as T;
  }

  /** One step. `step` counts from 1. */
  change(gradient: Tensor, optimizer: TrainOptimizer, rate: number, step: number): void {
    const next = tf.tidy((): Tensor[] => {
      const value: Tensor = this.#value;
      const g = this.hasUnitRows ? across(gradient as Tensor2D, value as Tensor2D) : gradient;
      const [mean, square] = this.#moments;
      const { moved, moments } = this.#move(optimizer, g, { mean: mean!, square, rate, step });
      return [this.hasUnitRows ? withUnitRows(moved as Tensor2D) : moved, ...moments];
    });
    this.replace(next);
  }

  #move(
    optimizer: TrainOptimizer,
    g: Tensor,
    { mean, square, rate, step }: { mean: Tensor; square: Tensor | undefined; rate: number; step: number },
  ): { moved: Tensor; moments: Tensor[] } {
    const value: Tensor = this.#value;
    switch (optimizer) {
      case 'adam': {
        const m = tf.add(tf.mul(mean, BETA1), tf.mul(g, 1 - BETA1));
        const s = tf.add(tf.mul(square!, BETA2), tf.mul(tf.square(g), 1 - BETA2));
        const size = tf.add(tf.sqrt(tf.mul(s, 1 / (1 - BETA2 ** step))), EPSILON);
        return {
          moved: tf.sub(value, tf.div(tf.mul(m, rate / (1 - BETA1 ** step)), size)),
          moments: [m, s],
        };
      }
      case 'signum': {
        const m = tf.add(tf.mul(mean, SIGNUM_BETA), tf.mul(g, 1 - SIGNUM_BETA));
        return { moved: tf.sub(value, tf.mul(tf.sign(m), rate)), moments: [m] };
      }
      default:
        return unreachable(optimizer);
    }
  }

  [Symbol.dispose](): void {
    tf.dispose([this.#value, ...this.#moments]);
  }
}

/** Keeps rows of zeros as they are. */
function withUnitRows(rows: Tensor2D): Tensor2D {
  const length = tf.norm(rows, 'euclidean', 1, true);
  return tf.divNoNan<Tensor2D>(rows, length);
}

/** A gradient without its part along rows of length 1. */
function across(gradient: Tensor2D, rows: Tensor2D): Tensor2D {
  const along = tf.sum(tf.mul(gradient, rows), 1, true);
  return tf.sub(gradient, tf.mul(along, rows));
}
