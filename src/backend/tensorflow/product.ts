/** Backend, native TensorFlow: the ways to multiply with a stored matrix in raw ops, and which of them is the fastest when. */
import type { Orientation } from '../engine.ts';
import type { RawOps } from './binding.ts';
import type { StoredMatrix, Widened } from './storage.ts';

/** From this many rows of x on, a product is bound by arithmetic and one large product is faster than many blocks. */
const MANY_ROWS = 256;

/**
 * x · Wᵀ is fast in TensorFlow for a few rows of x and for many; in between, (W · xᵀ)ᵀ takes half to two thirds of its
 * time. Widening is a fixed part of the time of other types, so there it pays later. (`bench/README.md` has the figures.)
 */
const SWAPPED_FROM_ROWS = { float32: 5, widened: 12 };

/** A matrix of at most this many numbers is widened in one piece (256 MiB of float32) when x has many rows. */
const LARGEST_WIDENED_WHOLE = 64 * 1024 * 1024;

/** A float32 matrix [rows, …] that TensorFlow owns. */
export interface RawMatrix {
  readonly id: number;
  readonly rows: number;
}

export interface ProductOptions {
  readonly raw: RawOps;
  /** True when tensors live on another device: then a second view of a matrix is a second copy. */
  readonly copiesToDevice: boolean;
}

/** x · stored or x · storedᵀ, float32; a new tensor. */
export function multiply(
  { raw, copiesToDevice }: ProductOptions,
  x: RawMatrix,
  stored: StoredMatrix,
  orientation: Orientation,
): number {
  const transpose = orientation === 'transposed';
  const product = new StoredProduct(raw, x.id, stored);
  if (transpose && !copiesToDevice && isSwapped(x.rows, stored)) return product.swapped();
  if (!stored.needsWidening) return raw.matMul(x.id, stored.whole(), transpose, raw.FLOAT);
  if (copiesToDevice || isWidenedWhole(x.rows, stored)) return product.widened(x.id, stored, transpose);
  return transpose ? product.blocksOfColumns() : product.blocksOfRows(x.rows);
}

/** As `multiply`, but x and the sums are rounded to bfloat16, in which `stored` has to be. */
export function multiplyInBfloat16(
  raw: RawOps,
  x: RawMatrix,
  stored: StoredMatrix,
  orientation: Orientation,
): number {
  const narrow = raw.cast(x.id, raw.FLOAT, raw.BFLOAT16);
  const product = raw.matMul(narrow, stored.whole(), orientation === 'transposed', raw.BFLOAT16);
  const wide = raw.cast(product, raw.BFLOAT16, raw.FLOAT);
  raw.delete(narrow, product);
  return wide;
}

function isSwapped(n: number, { needsWidening }: StoredMatrix): boolean {
  return n >= (needsWidening ? SWAPPED_FROM_ROWS.widened : SWAPPED_FROM_ROWS.float32) && n < MANY_ROWS;
}

function isWidenedWhole(n: number, { rows, columns }: StoredMatrix): boolean {
  return n >= MANY_ROWS && rows * columns <= LARGEST_WIDENED_WHOLE;
}

/** The ways to multiply one x with one stored matrix. */
class StoredProduct {
  private readonly raw: RawOps;
  private readonly xId: number;
  private readonly stored: StoredMatrix;

  constructor(raw: RawOps, xId: number, stored: StoredMatrix) {
    this.raw = raw;
    this.xId = xId;
    this.stored = stored;
  }

  /** x · storedᵀ as (stored · xᵀ)ᵀ: each block gives some rows of the product in brackets. */
  swapped(): number {
    const { raw, stored } = this;
    const xTransposed = raw.transpose(this.xId, raw.FLOAT);
    const times = (wideId: number): number => raw.matMul(wideId, xTransposed, false, raw.FLOAT);
    const product = stored.needsWidening
      ? this.combine(
          stored.blocks().map((block) => this.withWide(block, times)),
          (ids) => raw.concat(ids, 0),
        )
      : times(stored.whole());
    const result = raw.transpose(product, raw.FLOAT);
    raw.delete(xTransposed, product);
    return result;
  }

  /** x · W or x · Wᵀ with a stored matrix or block W, widened in one piece. */
  widened(xId: number, rows: Widened, transpose: boolean): number {
    const { raw } = this;
    return this.withWide(rows, (wide) => raw.matMul(xId, wide, transpose, raw.FLOAT));
  }

  /** x · storedᵀ: each block gives some columns of the result. */
  blocksOfColumns(): number {
    const parts = this.stored.blocks().map((block) => this.widened(this.xId, block, true));
    return this.combine(parts, (ids) => this.raw.concat(ids, 1));
  }

  /** x · stored: each block takes some columns of x and adds to the whole result. */
  blocksOfRows(n: number): number {
    const { raw } = this;
    const parts = this.stored.blocks().map((block) => {
      const columns = raw.columns(this.xId, n, block.start, block.rows);
      const part = this.widened(columns, block, false);
      raw.delete(columns);
      return part;
    });
    return this.combine(parts, (ids) => raw.sum(ids));
  }

  private withWide(rows: Widened, multiplyWith: (wideId: number) => number): number {
    const wide = rows.wide();
    const result = multiplyWith(wide);
    this.raw.delete(wide);
    return result;
  }

  private combine(parts: readonly number[], join: (ids: readonly number[]) => number): number {
    if (parts.length === 1) return parts[0]!;
    const result = join(parts);
    this.raw.delete(...parts);
    return result;
  }
}
