/** Backend, native TensorFlow: parameters as stored in memory, widened to float32 block by block while multiplying. */
import * as tf from '@tensorflow/tfjs-core';
import type { Arithmetic, HeldWeight, Tensor2D, Weight, WeightSource } from '../backend.ts';
import type { KernelBackend, RawOps } from './binding.ts';
import { elementBytes, shareableBytes, StoredMatrix } from './stored-matrix.ts';

/** From this many rows of x on, a product is bound by arithmetic and one large product is faster than many blocks. */
const MANY_ROWS = 256;

/**
 * x · Wᵀ is fast in TensorFlow for a few rows of x and for many; in between, (W · xᵀ)ᵀ takes half to two thirds of its
 * time. Widening is a fixed part of the time of other types, so there it pays later. (`bench/README.md` has the figures.)
 */
const SWAPPED_FROM_ROWS = { float32: 5, widened: 12 };

/** A matrix of at most this many numbers is widened in one piece (256 MiB of float32) when x has many rows. */
const LARGEST_WIDENED_WHOLE = 64 * 1024 * 1024;

/** What every weight of one backend shares. */
export interface Engine {
  readonly raw: RawOps;
  readonly kernels: KernelBackend;
  readonly arithmetic: Arithmetic;
  /** True when tensors live on another device: then a second view of a matrix is a second copy. */
  readonly copiesToDevice: boolean;
}

/** Products and rows of a stored matrix; see `HeldWeight`. Disposing is the business of whoever holds the bytes. */
class Product {
  readonly shape: readonly [number, number];
  private readonly engine: Engine;
  private readonly stored: StoredMatrix;
  private readonly transposed: boolean;

  constructor(engine: Engine, stored: StoredMatrix, transposed: boolean) {
    this.engine = engine;
    this.stored = stored;
    this.transposed = transposed;
    this.shape = transposed ? [stored.columns, stored.rows] : [stored.rows, stored.columns];
  }

  matMul(x: Tensor2D, options: { readonly transpose?: boolean } = {}): Tensor2D {
    const transpose = options.transpose ?? false;
    const inner = this.shape[transpose ? 1 : 0];
    if (x.shape[1] !== inner)
      throw new Error(`matMul: [${x.shape.join()}] with a weight of [${this.shape.join()}]`);
    const product = tf.customGrad((input) => ({
      value: this.multiply(input as Tensor2D, transpose),
      // The parameter is frozen: only x has a gradient.
      gradFunc: (dy: tf.Tensor) => this.matMul(dy as Tensor2D, { transpose: !transpose }),
    }));
    return product(x) as Tensor2D;
  }

  rows(indices: Int32Array): Tensor2D {
    const { raw, kernels } = this.engine;
    const picked = raw.gather(this.stored.whole(), indices, this.transposed ? 1 : 0, this.stored.dtype);
    const wide = this.stored.needsWidening ? raw.cast(picked, this.stored.dtype, raw.FLOAT) : picked;
    if (wide !== picked) raw.delete(picked);
    const upright = this.transposed ? raw.transpose(wide, raw.FLOAT) : wide;
    if (upright !== wide) raw.delete(wide);
    const shape = [indices.length, this.shape[1]];
    return kernels.createOutputTensor({ id: upright, shape, dtype: raw.FLOAT }) as Tensor2D;
  }

  private multiply(x: Tensor2D, transpose: boolean): Tensor2D {
    const { raw, kernels, arithmetic } = this.engine;
    const [xId] = kernels.getInputTensorIds([x]) as [number];
    const overColumns = transpose !== this.transposed;
    const n = x.shape[0];
    let id: number;
    if (arithmetic === 'bfloat16' && this.stored.dtype === raw.BFLOAT16)
      id = this.inBfloat16(xId, overColumns);
    else if (overColumns && this.isSwapped(n)) id = this.swapped(xId);
    else if (!this.stored.needsWidening) id = raw.matMul(xId, this.stored.whole(), overColumns, raw.FLOAT);
    else if (this.isWidenedWhole(n)) id = this.widened(xId, this.stored.whole(), overColumns);
    else id = overColumns ? this.blocksOfColumns(xId) : this.blocksOfRows(xId, n);
    const shape = [n, this.shape[transpose ? 0 : 1]];
    return kernels.createOutputTensor({ id, shape, dtype: raw.FLOAT }) as Tensor2D;
  }

  private isWidenedWhole(n: number): boolean {
    const size = this.stored.rows * this.stored.columns;
    return this.engine.copiesToDevice || (n >= MANY_ROWS && size <= LARGEST_WIDENED_WHOLE);
  }

  private isSwapped(n: number): boolean {
    const from = this.stored.needsWidening ? SWAPPED_FROM_ROWS.widened : SWAPPED_FROM_ROWS.float32;
    return !this.engine.copiesToDevice && n >= from && n < MANY_ROWS;
  }

  /** x · storedᵀ as (stored · xᵀ)ᵀ: each block gives some rows of the product in brackets. */
  private swapped(xId: number): number {
    const { raw } = this.engine;
    const xTransposed = raw.transpose(xId, raw.FLOAT);
    const multiply = (wideId: number): number => raw.matMul(wideId, xTransposed, false, raw.FLOAT);
    const product = this.stored.needsWidening
      ? this.combine(
          this.stored.blocks().map((block) => this.withWide(block.id, multiply)),
          (ids) => raw.concat(ids, 0),
        )
      : multiply(this.stored.whole());
    const result = raw.transpose(product, raw.FLOAT);
    raw.delete(xTransposed, product);
    return result;
  }

  private widened(xId: number, storedId: number, overColumns: boolean): number {
    const { raw } = this.engine;
    return this.withWide(storedId, (wide) => raw.matMul(xId, wide, overColumns, raw.FLOAT));
  }

  private withWide(storedId: number, multiply: (wideId: number) => number): number {
    const { raw } = this.engine;
    const wide = raw.cast(storedId, this.stored.dtype, raw.FLOAT);
    const result = multiply(wide);
    raw.delete(wide);
    return result;
  }

  /** x · storedᵀ: each block gives some columns of the result. */
  private blocksOfColumns(xId: number): number {
    const parts = this.stored.blocks().map((block) => this.widened(xId, block.id, true));
    return this.combine(parts, (ids) => this.engine.raw.concat(ids, 1));
  }

  /** x · stored: each block takes some columns of x and adds to the whole result. */
  private blocksOfRows(xId: number, n: number): number {
    const { raw } = this.engine;
    const parts = this.stored.blocks().map((block) => {
      const columns = raw.columns(xId, n, block.start, block.rows);
      const part = this.widened(columns, block.id, false);
      raw.delete(columns);
      return part;
    });
    return this.combine(parts, (ids) => raw.sum(ids));
  }

  private combine(parts: readonly number[], join: (ids: readonly number[]) => number): number {
    if (parts.length === 1) return parts[0]!;
    const result = join(parts);
    this.engine.raw.delete(...parts);
    return result;
  }

  private inBfloat16(xId: number, overColumns: boolean): number {
    const { raw } = this.engine;
    const narrow = raw.cast(xId, raw.FLOAT, raw.BFLOAT16);
    const product = raw.matMul(narrow, this.stored.whole(), overColumns, raw.BFLOAT16);
    const wide = raw.cast(product, raw.BFLOAT16, raw.FLOAT);
    raw.delete(narrow, product);
    return wide;
  }
}

/** Logical shape and stored bytes of a source. */
function describe(source: WeightSource): { shape: [number, number]; storedBytes: number } {
  const [rows, columns] = source.shape;
  return {
    shape: source.transposed ? [columns, rows] : [rows, columns],
    storedBytes: rows * columns * elementBytes(source.dtype),
  };
}

async function readStored(engine: Engine, source: WeightSource, bytes: Uint8Array): Promise<StoredMatrix> {
  await source.readInto(bytes, { start: 0, stop: source.shape[0] });
  return new StoredMatrix(engine.raw, bytes, source.shape, source.dtype);
}

/** Reads the whole weight now; `acquire` costs nothing afterwards. */
export async function loadWeight(engine: Engine, source: WeightSource): Promise<Weight> {
  const { shape, storedBytes } = describe(source);
  const stored = await readStored(engine, source, shareableBytes(storedBytes));
  const product = new Product(engine, stored, source.transposed ?? false);
  // What `acquire` gives out is a loan: its brace must not dispose what the weight keeps.
  const loan: HeldWeight = {
    shape,
    matMul: (x, options) => product.matMul(x, options),
    rows: (indices) => product.rows(indices),
    [Symbol.dispose]: () => undefined,
  };
  let heldBytes = storedBytes;
  return {
    name: source.name,
    shape,
    dtype: source.dtype,
    storedBytes,
    get heldBytes() {
      return heldBytes;
    },
    acquire: () => Promise.resolve(loan),
    rows: (indices) => Promise.resolve(product.rows(indices)),
    [Symbol.dispose]() {
      stored[Symbol.dispose]();
      heldBytes = 0;
    },
  };
}

/** Memory for streamed weights, used again and again: JavaScript's collector is too slow to free such buffers in time. */
export class StreamBuffers {
  private spare: Uint8Array | undefined;

  take(byteLength: number): Uint8Array {
    const { spare } = this;
    if (spare && spare.byteLength >= byteLength) {
      this.spare = undefined;
      return spare.subarray(0, byteLength);
    }
    return shareableBytes(byteLength);
  }

  giveBack(bytes: Uint8Array): void {
    const whole = new Uint8Array(bytes.buffer, bytes.byteOffset);
    if (!this.spare || this.spare.byteLength < whole.byteLength) this.spare = whole;
  }
}

/** Reads on every `acquire`, and forgets when that loan is disposed. */
export function streamWeight(engine: Engine, source: WeightSource, buffers: StreamBuffers): Weight {
  const { shape, storedBytes } = describe(source);
  let heldBytes = 0;
  const acquire = async (): Promise<HeldWeight> => {
    const bytes = buffers.take(storedBytes);
    const stored = await readStored(engine, source, bytes);
    const product = new Product(engine, stored, source.transposed ?? false);
    heldBytes += storedBytes;
    return {
      shape,
      matMul: (x, options) => product.matMul(x, options),
      rows: (indices) => product.rows(indices),
      [Symbol.dispose]() {
        stored[Symbol.dispose]();
        buffers.giveBack(bytes);
        heldBytes -= storedBytes;
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
      using picked = new StoredMatrix(engine.raw, bytes, [indices.length, shape[1]], source.dtype);
      const all = Int32Array.from({ length: indices.length }, (_, i) => i);
      return new Product(engine, picked, false).rows(all);
    },
    [Symbol.dispose]: () => undefined,
  };
}
