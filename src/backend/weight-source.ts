/** Where the numbers of a weight come from: a tensor of a file, its type in the backend's words, and its size. */
import type { TensorFile, TensorInfo } from '../formats/tensor-file.ts';
import { ELEMENT_BYTES } from '../formats/dtype.ts';
import type { WeightSource, WeightType } from './backend.ts';

/** How files name the types in which a weight may be stored. */
export const STORAGE_TYPES: Readonly<Record<WeightType, WeightInfo['dtype']>> = {
  float32: 'F32',
  bfloat16: 'BF16',
  float16: 'F16',
};

/** A tensor that is stored as a weight may be, which was checked when its file was opened. */
export interface WeightInfo extends TensorInfo {
  readonly dtype: 'F32' | 'BF16' | 'F16';
}

const WEIGHT_TYPES: Readonly<Record<WeightInfo['dtype'], WeightType>> = {
  F32: 'float32',
  BF16: 'bfloat16',
  F16: 'float16',
};

/** Bytes of a stored matrix. */
export function storedBytes({
  shape: [rows, columns],
  dtype,
}: Pick<WeightSource, 'shape' | 'dtype'>): number {
  return rows * columns * ELEMENT_BYTES[STORAGE_TYPES[dtype]];
}

/**
 * A matrix of a tensor file; a tensor [a, b, c] is the matrix [a · b, c]. `transposed`: the file holds the transpose of the logical
 * matrix.
 */
export function weightSource(
  file: TensorFile,
  { name, shape, dtype }: WeightInfo,
  transposed = false,
): WeightSource {
  return {
    name: `${name} in ${file.name}`,
    shape: [shape.slice(0, -1).reduce((product, size) => product * size, 1), shape.at(-1)!],
    dtype: WEIGHT_TYPES[dtype],
    transposed,
    location: file.location(name),
    readInto: (target, rows) => file.readInto(name, target, rows),
    readRows: (indices) => file.readVectors(name, indices),
  };
}
