/** Model: a matrix that is a part of a fused tensor, or whose rows are stored in another order, read as if it lay alone in a file. */
import { bytesOfNumbers } from '../formats/dtype.ts';
import { isPacked } from '../formats/packed.ts';
import type { WeightSource } from '../backend/backend.ts';
import { storageType, weightSource, type WeightInfo } from '../backend/weight-source.ts';
import type { RowRange, TensorFile } from '../formats/tensor-file.ts';
import { mxfp4Source } from './mxfp4.ts';
import type { Part, Place } from './naming.ts';

/** Rows of a fused tensor are read in pieces of about this size where only some of their columns are wanted. */
const PIECE_BYTES = 4 * 2 ** 20;

/** The matrix at a place of a checkpoint, whose header was checked. */
export function placedSource(file: TensorFile, info: WeightInfo, place: Place): WeightSource {
  const { part, stack, isTransposed, interleaved } = place;
  const stored = place.packing === 'mxfp4' ? mxfp4Source(file, info) : weightSource(file, info, isTransposed);
  const whole = stack ? partOfRows(stored, partOfStack(stored.shape[0], stack)) : stored;
  if (interleaved !== undefined) return inHalves(whole, interleaved);
  if (!part) return whole;
  return part.axis === 0 ? partOfRows(whole, part) : partOfColumns(whole, part);
}

/** Where an entry of heads that are stored interleaved lies. */
function storedPlace(index: number, d_head: number): number {
  const within = index % d_head;
  const half = d_head / 2;
  return index - within + (within < half ? 2 * within : 2 * (within - half) + 1);
}

/** Rows of heads in the order of their halves. Whole heads are read, and their rows put in order. */
function inHalves({ location: _location, ...whole }: WeightSource, d_head: number): WeightSource {
  const rowBytes = bytesOfRow(whole);
  return {
    ...whole,
    async readInto(target, { start, stop }) {
      const headsAtOnce = Math.max(1, Math.floor(PIECE_BYTES / (d_head * rowBytes)));
      for (let row = start; row < stop;) {
        const first = row - (row % d_head);
        const last = Math.min(first + headsAtOnce * d_head, whole.shape[0]);
        const heads = new Uint8Array((last - first) * rowBytes);
        await whole.readInto(heads, { start: first, stop: last });
        for (; row < Math.min(last, stop); row++) {
          const at = (storedPlace(row, d_head) - first) * rowBytes;
          target.set(heads.subarray(at, at + rowBytes), (row - start) * rowBytes);
        }
      }
    },
    readRows: (indices) => whole.readRows(Array.from(indices, (row) => storedPlace(row, d_head))),
  };
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
  const rowBytes = bytesOfRow(whole);
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
  if (isPacked(whole.dtype)) throw new Error(`${whole.name}: columns of a packed matrix are no matrix`);
  const elementBytes = bytesOfNumbers(storageType(whole.dtype), 1);
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

/** The numbers of a vector at a place. */
export function placedVector(values: Float32Array, { part, interleaved }: Place): Float32Array {
  if (interleaved !== undefined) return values.map((_, i) => values[storedPlace(i, interleaved)]!);
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

function bytesOfRow({ dtype, shape: [, columns] }: WeightSource): number {
  return bytesOfNumbers(storageType(dtype), columns);
}
