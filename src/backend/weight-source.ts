/** Where the numbers of a weight come from: a tensor of a file, its type in the backend's words, and its size. */
import type { StorageType, TensorFile } from '../formats/tensor-file.ts';
import { ELEMENT_BYTES } from '../formats/dtype.ts';
import type { WeightSource, WeightType } from './backend.ts';

/** How files name the types in which a weight may be stored. */
export const STORAGE_TYPES: Readonly<Record<WeightType, StorageType>> = {
  float32: 'F32',
  bfloat16: 'BF16',
  float16: 'F16',
};

/** The stored type of a matrix in the backend's words. Headers were checked before, so another type is a bug. */
function weightType(dtype: StorageType): WeightType {
  const found = Object.entries(STORAGE_TYPES).find(([, name]) => name === dtype);
  if (!found) throw new Error(`${dtype} is no storage type of a weight`);
  return found[0] as WeightType;
}

/** Bytes of a stored matrix. */
export function storedBytes({
  shape: [rows, columns],
  dtype,
}: Pick<WeightSource, 'shape' | 'dtype'>): number {
  return rows * columns * ELEMENT_BYTES[STORAGE_TYPES[dtype]];
}

/** A matrix of a tensor file. `transposed`: the file holds the transpose of the logical matrix. */
export function weightSource(file: TensorFile, key: string, transposed = false): WeightSource {
  const info = file.tensors.get(key)!;
  return {
    name: `${key} in ${file.name}`,
    shape: info.shape as [number, number],
    dtype: weightType(info.dtype),
    transposed,
    readInto: (target, rows) => file.readInto(key, target, rows),
    readRows: (indices) => file.readRows(key, indices),
  };
}
