/** Backend, native TensorFlow: the ways to multiply with a stored matrix in raw ops, and which of them is the fastest when. */
import type { Orientation } from '../engine.ts';
import type { RawOps } from './binding.ts';
import type { Block, BlockedMatrix, StoredMatrix, Widened } from './storage.ts';

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

/** x · stored or x · storedᵀ, float32; a new tensor. */
export function multiply(raw: RawOps, x: RawMatrix, stored: StoredMatrix, orientation: Orientation): number {
  const transpose = orientation === 'transposed';
  if (transpose && isSwapped(x.rows, stored)) return swapped(raw, x.id, stored);
  if (!stored.needsWidening) return raw.matMul(x.id, stored.whole(), transpose, raw.FLOAT);
  if (isWidenedWhole(x.rows, stored)) return widened(raw, x.id, stored, transpose);
  return multiplyByBlocks(raw, x, stored, orientation);
}

/** As `multiply`, but x and the sums are rounded to bfloat16, in which `stored` has to be. */
export function multiplyInBfloat16(
  raw: RawOps,
  x: RawMatrix,
  stored: StoredMatrix,
  orientation: Orientation,
): number {
  return inBfloat16(raw, x.id, stored.whole(), orientation === 'transposed');
}

/** A product of x, or of some of its columns, with a block or its transpose, float32; a new tensor. */
type TimesBlock = (raw: RawOps, xId: number, block: Block, transpose: boolean) => number;

/** x · stored or x · storedᵀ, float32, with no more than a block widened at a time. */
export function multiplyByBlocks(
  raw: RawOps,
  x: RawMatrix,
  stored: BlockedMatrix,
  orientation: Orientation,
  times: TimesBlock = widened,
): number {
  // Of the transpose each block gives some columns of the result.
  if (orientation === 'transposed') {
    const parts = stored.blocks().map((block) => times(raw, x.id, block, true));
    return combine(raw, parts, (ids) => raw.concat(ids, 1));
  }
  // Otherwise it takes some columns of x and adds to the whole result.
  const parts = stored.blocks().map((block) => {
    if (block.rows === stored.rows) return times(raw, x.id, block, false);
    const columns = raw.columns(x.id, x.rows, block.start, block.rows);
    const part = times(raw, columns, block, false);
    raw.delete(columns);
    return part;
  });
  return combine(raw, parts, (ids) => raw.sum(ids));
}

/** As `multiplyByBlocks`, but x and the sums of a block are rounded to bfloat16, in which `stored` has to be. */
export const blockInBfloat16: TimesBlock = (raw, xId, { stored }, transpose) =>
  inBfloat16(raw, xId, stored!, transpose);

function inBfloat16(raw: RawOps, xId: number, storedId: number, transpose: boolean): number {
  const narrow = raw.cast(xId, raw.FLOAT, raw.BFLOAT16);
  const product = raw.matMul(narrow, storedId, transpose, raw.BFLOAT16);
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

/** x · storedᵀ as (stored · xᵀ)ᵀ: each block gives some rows of the product in brackets. */
function swapped(raw: RawOps, xId: number, stored: StoredMatrix): number {
  const xTransposed = raw.transpose(xId, raw.FLOAT);
  const times = (wideId: number): number => raw.matMul(wideId, xTransposed, false, raw.FLOAT);
  const product = stored.needsWidening
    ? combine(
        raw,
        stored.blocks().map((block) => withWide(raw, block, times)),
        (ids) => raw.concat(ids, 0),
      )
    : times(stored.whole());
  const result = raw.transpose(product, raw.FLOAT);
  raw.delete(xTransposed, product);
  return result;
}

/** x · W or x · Wᵀ with a stored matrix or block W, widened in one piece. */
function widened(raw: RawOps, xId: number, rows: Widened, transpose: boolean): number {
  return withWide(raw, rows, (wide) => raw.matMul(xId, wide, transpose, raw.FLOAT));
}

function withWide(raw: RawOps, rows: Widened, multiplyWith: (wideId: number) => number): number {
  const wide = rows.wide();
  const result = multiplyWith(wide);
  raw.delete(wide);
  return result;
}

function combine(raw: RawOps, parts: readonly number[], join: (ids: readonly number[]) => number): number {
  if (parts.length === 1) return parts[0]!;
  const result = join(parts);
  raw.delete(...parts);
  return result;
}
