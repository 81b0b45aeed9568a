/** Model: a matrix that is a part of a fused tensor, read as if it lay alone in a file. */
import type { WeightSource } from '../backend/backend.ts';
import { weightSource, type WeightInfo } from '../backend/weight-source.ts';
import type { RowRange, TensorFile } from '../formats/tensor-file.ts';
import { mxfp4Source } from './mxfp4.ts';
import type { Part, Place } from './naming.ts';

/** Rows of a fused tensor are read in pieces of about this size where only some of their columns are wanted. */
const PIECE_BYTES = 4 * 2 ** 20;

/** The matrix at a place of a checkpoint, whose header was checked. */
export function placedSource(file: TensorFile, info: WeightInfo, place: Place): WeightSource {
  const { part, stack, isTransposed } = place;
  const stored = place.packing === 'mxfp4' ? mxfp4Source(file, info) : weightSource(file, info, isTransposed);
  const whole = stack ? partOfRows(stored, partOfStack(stored.shape[0], stack)) : stored;
  if (!part) return whole;
  return part.axis === 0 ? partOfRows(whole, part) : partOfColumns(whole, part);
}

/** @param rows of all tensors of the stack together */
function partOfStack(rows: number, { index, size }: NonNullable<Place['stack']>): Part {
  const length = rows / size;
  return { axis: 0, offset: index * length, length, stride: rows };
}

/** Entries [first, stop) of a part, as runs of the tensor's entries. */
function* runs({ offset, length, stride }: Part, first: number, stop: number): Generator<RowRange> {
  for (let at = first; at < stop;) {
    const within = at % length;
    const n = Math.min(length - within, stop - at);
    const start = Math.floor(at / length) * stride + offset + within;
    yield { start, stop: start + n };
    at += n;
  }
}

function partOfRows(whole: WeightSource, part: Part): WeightSource {
  const [rows, columns] = whole.shape;
  const size = (rows / part.stride) * part.length;
  const rowBytes = columns * bytesOf(whole);
  const { location, ...rest } = whole;
  const isOneRun = part.length === size;
  return {
    ...rest,
    shape: [size, columns],
    // Only rows that follow each other can be used where they lie.
    ...(location &&
      isOneRun && { location: { ...location, offset: location.offset + part.offset * rowBytes } }),
    async readInto(target, { start, stop }) {
      let filled = 0;
      for (const run of runs(part, start, stop)) {
        const bytes = (run.stop - run.start) * rowBytes;
        await whole.readInto(target.subarray(filled, filled + bytes), run);
        filled += bytes;
      }
    },
    readRows: (indices) =>
      whole.readRows(
        Array.from(
          indices,
          (at) => Math.floor(at / part.length) * part.stride + part.offset + (at % part.length),
        ),
      ),
  };
}

function partOfColumns(whole: WeightSource, part: Part): WeightSource {
  const [rows, columns] = whole.shape;
  const size = (columns / part.stride) * part.length;
  const elementBytes = bytesOf(whole);
  const picked = [...runs(part, 0, size)];
  const pick = (from: Uint8Array, n: number, target: Uint8Array): void => {
    let filled = 0;
    for (let row = 0; row < n; row++) {
      for (const { start, stop } of picked) {
        const at = (row * columns + start) * elementBytes;
        const bytes = (stop - start) * elementBytes;
        target.set(from.subarray(at, at + bytes), filled);
        filled += bytes;
      }
    }
  };
  const { location: _location, ...rest } = whole;
  return {
    ...rest,
    shape: [rows, size],
    async readInto(target, { start, stop }) {
      const rowsAtOnce = Math.max(1, Math.floor(PIECE_BYTES / (columns * elementBytes)));
      const partBytes = size * elementBytes;
      for (let row = start; row < stop; row += rowsAtOnce) {
        const n = Math.min(rowsAtOnce, stop - row);
        const piece = new Uint8Array(n * columns * elementBytes);
        await whole.readInto(piece, { start: row, stop: row + n });
        pick(piece, n, target.subarray((row - start) * partBytes, (row - start + n) * partBytes));
      }
    },
    async readRows(indices) {
      const target = new Uint8Array(indices.length * size * elementBytes);
      pick(await whole.readRows(indices), indices.length, target);
      return target;
    },
  };
}

/** The numbers of a vector that belong to a part. */
export function partOfVector(values: Float32Array, part: Part | undefined): Float32Array {
  if (!part) return values;
  const size = (values.length / part.stride) * part.length;
  const found = new Float32Array(size);
  let filled = 0;
  for (const { start, stop } of runs(part, 0, size)) {
    found.set(values.subarray(start, stop), filled);
    filled += stop - start;
  }
  return found;
}

function bytesOf({ dtype }: WeightSource): number {
  return dtype === 'float32' ? 4 : 2;
}
