/** What `acquire` gives out: products and rows of a weight for as long as it is lent. */
import * as tf from '@tensorflow/tfjs-core';
import type { HeldWeight, Tensor2D, WeightSource } from './backend.ts';
import type { Engine, Storage } from './engine.ts';

/** What a loan needs of the weight that lends itself. */
export interface Lender<S extends Storage> {
  readonly engine: Engine<S>;
  readonly source: WeightSource;
  /** Throws when the weight was disposed. */
  storage(): S;
  giveBack(): void;
}

/** Shape of the logical matrix: the stored one, or its transpose. */
export function logicalShape({ shape, transposed }: WeightSource): readonly [number, number] {
  return transposed ? [shape[1], shape[0]] : shape;
}

/** Throws a `RangeError` for rows that a weight does not have. */
export function checkRows(indices: Int32Array, source: WeightSource): void {
  const [rows] = logicalShape(source);
  const wrong = indices.find((index) => index < 0 || index >= rows);
  if (wrong !== undefined) throw new RangeError(`${source.name}: row ${wrong} of a weight that has ${rows}`);
}

/** Use after it was given back throws; giving it back again does nothing. */
export class WeightLoan<S extends Storage> implements HeldWeight {
  readonly shape: readonly [number, number];
  private readonly lender: Lender<S>;
  private isGivenBack = false;

  constructor(lender: Lender<S>) {
    this.lender = lender;
    this.shape = logicalShape(lender.source);
  }

  matMul(x: Tensor2D, options: { readonly transpose?: boolean } = {}): Tensor2D {
    const transpose = options.transpose ?? false;
    const inner = this.shape[transpose ? 1 : 0];
    if (x.shape[1] !== inner) {
      const weight = `${transpose ? 'the transpose of ' : ''}a weight of [${this.shape.join()}]`;
      throw new Error(`${this.lender.source.name}: [${x.shape.join()}] times ${weight}`);
    }
    const product = tf.customGrad((input) => ({
      value: this.multiply(input as Tensor2D, transpose),
      // The parameter is frozen: only x has a gradient.
      gradFunc: (dy: tf.Tensor) => this.matMul(dy as Tensor2D, { transpose: !transpose }),
    }));
    return product(x) as Tensor2D;
  }

  rows(indices: Int32Array): Tensor2D {
    const { engine, source } = this.lender;
    const storage = this.storage();
    checkRows(indices, source);
    const [, columns] = this.shape;
    if (indices.length === 0 || columns === 0) return tf.zeros([indices.length, columns]);
    return engine.gather(storage, indices, source.transposed ? 'columns' : 'rows');
  }

  [Symbol.dispose](): void {
    if (this.isGivenBack) return;
    this.isGivenBack = true;
    this.lender.giveBack();
  }

  private multiply(x: Tensor2D, transpose: boolean): Tensor2D {
    const { engine, source } = this.lender;
    const storage = this.storage();
    const [n, inner] = x.shape;
    const width = this.shape[transpose ? 0 : 1];
    if (n === 0 || inner === 0 || width === 0) return tf.zeros([n, width]);
    return engine.product(x, storage, transpose === (source.transposed ?? false) ? 'stored' : 'transposed');
  }

  private storage(): S {
    if (this.isGivenBack) throw new Error(`${this.lender.source.name} was used after its loan was disposed`);
    return this.lender.storage();
  }
}
