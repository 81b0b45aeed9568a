/** Files, helper of PyTorch's: numbers that lie in a storage with strides, in the order of their rows. */
import { allocate } from './tensor-reader.ts';

/** Where the numbers of a tensor lie in its storage; all counts are of numbers, not of bytes. */
export interface StridedPlace {
  readonly offset: number;
  readonly shape: readonly number[];
  /** From one number to the next along each axis. */
  readonly strides: readonly number[];
}

/**
 * The numbers, row-major: a part of `storage` where they lie so, else a copy. The place has to lie inside of it.
 * @param storage aligned to the size of a number
 */
export function gather(
  storage: Uint8Array,
  size: number,
  { offset, shape, strides }: StridedPlace,
): Uint8Array {
  const length = shape.reduce((product, count) => product * count, 1);
  if (isRowMajor(shape, strides)) return storage.subarray(offset * size, (offset + length) * size);
  const out = allocate(length * size, 'a tensor');
  const [from, to] = [numbersOf(storage, size), numbersOf(out, size)];
  const inner = shape.length - 1;
  const [columns, step] = [shape[inner]!, strides[inner]!];
  const at = new Array<number>(inner).fill(0);
  let start = offset;
  for (let written = 0; written < length; written += columns) {
    for (let i = 0; i < columns; i++) to[written + i] = from[start + i * step];
    for (let axis = inner - 1; axis >= 0; axis--) {
      start += strides[axis]!;
      if (++at[axis]! < shape[axis]!) break;
      start -= strides[axis]! * shape[axis]!;
      at[axis] = 0;
    }
  }
  return out;
}

/** Bytes as whole numbers of so many bytes, whatever they stand for. */
function numbersOf(
  { buffer, byteOffset, byteLength }: Uint8Array,
  size: number,
): { [place: number]: unknown } {
  const length = Math.floor(byteLength / size);
  switch (size) {
    case 8:
      return new BigUint64Array(buffer, byteOffset, length);
    case 4:
      return new Uint32Array(buffer, byteOffset, length);
    case 2:
      return new Uint16Array(buffer, byteOffset, length);
    default:
      return new Uint8Array(buffer, byteOffset, length);
  }
}

/** Strides of axes of one number do not matter. */
function isRowMajor(shape: readonly number[], strides: readonly number[]): boolean {
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== expected) return shape.includes(0);
    expected *= shape[axis]!;
  }
  return true;
}
