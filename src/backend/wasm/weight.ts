/** Backend, WebAssembly: parameters as stored in JavaScript's memory, widened block by block while multiplying. */
import * as tf from '@tensorflow/tfjs-core';
import type { HeldWeight, Tensor2D, Weight, WeightSource } from '../backend.ts';
import { elementBytes, StoredMatrix } from './stored-matrix.ts';

type Shape2D = [number, number];

/** Products and rows of a stored matrix. */
class Product {
  readonly shape: Shape2D;
  private readonly stored: StoredMatrix;
  private readonly transposed: boolean;

  constructor(stored: StoredMatrix, transposed: boolean) {
    this.stored = stored;
    this.transposed = transposed;
    this.shape = transposed ? [stored.columns, stored.rows] : [stored.rows, stored.columns];
  }

  matMul(x: Tensor2D, options: { readonly transpose?: boolean } = {}): Tensor2D {
    const transpose = options.transpose ?? false;
    const inner = this.shape[transpose ? 1 : 0];
    if (x.shape[1] !== inner) {
      throw new Error(`matMul: [${x.shape.join()}] with a weight of [${this.shape.join()}]`);
    }
    const product = tf.customGrad((input) => ({
      value: this.multiply(input as Tensor2D, transpose),
      // The parameter is frozen: only x has a gradient.
      gradFunc: (dy: tf.Tensor) => this.matMul(dy as Tensor2D, { transpose: !transpose }),
    }));
    return product(x) as Tensor2D;
  }

  rows(indices: Int32Array): Tensor2D {
    const values = this.transposed ? this.stored.pickColumns(indices) : this.stored.pickRows(indices);
    return tf.tensor2d(values, [indices.length, this.shape[1]]);
  }

  private multiply(x: Tensor2D, transpose: boolean): Tensor2D {
    const n = x.shape[0];
    if (n === 0) return tf.zeros([0, this.shape[transpose ? 0 : 1]]);
    return transpose === this.transposed ? this.blocksOfRows(x, n) : this.blocksOfColumns(x);
  }

  /**
   * x · storedᵀ, each block giving some columns of the result, taken as (stored · xᵀ)ᵀ: the wasm kernel is 6 to 12 times
   * slower when its second operand is transposed.
   */
  private blocksOfColumns(x: Tensor2D): Tensor2D {
    return tf.tidy(() => {
      const xT = tf.transpose(x); // [columns, n]
      const parts: Tensor2D[] = [];
      for (const { rows, values } of this.stored.blocks()) {
        parts.push(tf.tidy(() => tf.matMul(tf.tensor2d(values, [rows, this.stored.columns]), xT))); // [rows, n]
      }
      return tf.transpose(parts.length === 1 ? parts[0]! : tf.concat(parts, 0));
    });
  }

  /** x · stored: each block takes some columns of x and adds to the whole result. */
  private blocksOfRows(x: Tensor2D, n: number): Tensor2D {
    let sum: Tensor2D | undefined; // [n, columns]
    for (const { start, rows, values } of this.stored.blocks()) {
      const before: Tensor2D | undefined = sum;
      sum = tf.tidy(() => {
        const xColumns = tf.slice(x, [0, start], [n, rows]);
        const part = tf.matMul<Tensor2D>(xColumns, tf.tensor2d(values, [rows, this.stored.columns]));
        return before ? tf.add(before, part) : part;
      });
      before?.dispose();
    }
    return sum ?? tf.zeros([n, this.stored.columns]);
  }
}

/** Logical shape and stored bytes of a source. */
function describe(source: WeightSource): { shape: Shape2D; storedBytes: number } {
  const [rows, columns] = source.shape;
  return {
    shape: source.transposed ? [columns, rows] : [rows, columns],
    storedBytes: rows * columns * elementBytes(source.dtype),
  };
}

async function readProduct(source: WeightSource, storedBytes: number): Promise<Product> {
  const bytes = new Uint8Array(storedBytes);
  await source.readInto(bytes, { start: 0, stop: source.shape[0] });
  return new Product(new StoredMatrix(bytes, source.shape, source.dtype), source.transposed ?? false);
}

/** Reads the whole weight now; `acquire` costs nothing afterwards. */
export async function loadWeight(source: WeightSource): Promise<Weight> {
  const { shape, storedBytes } = describe(source);
  let product: Product | undefined = await readProduct(source, storedBytes);
  const held = (): Product => {
    if (!product) throw new Error(`${source.name} was used after it was disposed`);
    return product;
  };
  // What `acquire` gives out is a loan: its brace must not dispose what the weight keeps.
  const loan: HeldWeight = {
    shape,
    matMul: (x, options) => held().matMul(x, options),
    rows: (indices) => held().rows(indices),
    [Symbol.dispose]: () => undefined,
  };
  return {
    name: source.name,
    shape,
    dtype: source.dtype,
    storedBytes,
    get heldBytes() {
      return product ? storedBytes : 0;
    },
    acquire: () => Promise.resolve(loan),
    rows: (indices) => Promise.resolve(held().rows(indices)),
    [Symbol.dispose]() {
      product = undefined;
    },
  };
}

/** Reads on every `acquire`, and forgets when that loan is disposed. */
export function streamWeight(source: WeightSource): Weight {
  const { shape, storedBytes } = describe(source);
  let heldBytes = 0;
  const acquire = async (): Promise<HeldWeight> => {
    let product: Product | undefined = await readProduct(source, storedBytes);
    heldBytes += storedBytes;
    const held = (): Product => {
      if (!product) throw new Error(`${source.name} was used after its loan was disposed`);
      return product;
    };
    return {
      shape,
      matMul: (x, options) => held().matMul(x, options),
      rows: (indices) => held().rows(indices),
      [Symbol.dispose]() {
        if (product) heldBytes -= storedBytes;
        product = undefined;
      },
    };
  };
  return {
    name: source.name,
    shape,
    dtype: source.dtype,
    storedBytes,
    get heldBytes() {
      return heldBytes;
    },
    acquire,
    async rows(indices) {
      if (source.transposed) {
        using held = await acquire();
        return held.rows(indices);
      }
      const bytes = await source.readRows(indices);
      const picked = new StoredMatrix(bytes, [indices.length, shape[1]], source.dtype);
      return new Product(picked, false).rows(Int32Array.from(indices.keys()));
    },
    [Symbol.dispose]: () => undefined,
  };
}
