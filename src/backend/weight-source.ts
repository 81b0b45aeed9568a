/** Where the numbers of a weight come from: a tensor of a file, its type in the backend's words, and its size. */
import type { RowRange, TensorFile, TensorInfo } from '../formats/tensor-file.ts';
import { bytesOfNumbers } from '../formats/dtype.ts';
import { isPacked, PACKED_TYPES, type PackedType } from '../formats/packed.ts';
import type { MatrixSource, WeightSource, WeightType } from './backend.ts';

/** Types in which a weight may be stored, as files name them. */
export const STORED_WEIGHT_TYPES = ['F32', 'F16', 'BF16', ...PACKED_TYPES] as const;

const STORAGE_TYPES: Readonly<Record<Exclude<WeightType, PackedType>, WeightInfo['dtype']>> = {
  float32: 'F32',
  bfloat16: 'BF16',
  float16: 'F16',
};

/** How files name a type in which a weight may be stored. */
export function storageType(dtype: WeightType): WeightInfo['dtype'] {
  return isPacked(dtype) ? dtype : STORAGE_TYPES[dtype];
}

/** A tensor that is stored as a weight may be, which was checked when its file was opened. */
export interface WeightInfo extends TensorInfo {
  readonly dtype: (typeof STORED_WEIGHT_TYPES)[number];
}

const WEIGHT_TYPES: Readonly<Record<Exclude<WeightInfo['dtype'], PackedType>, WeightType>> = {
  F32: 'float32',
  BF16: 'bfloat16',
  F16: 'float16',
};

/** Bytes of a stored matrix. */
export function storedBytes({
  shape: [rows, columns],
  dtype,
}: Pick<WeightSource, 'shape' | 'dtype'>): number {
  return rows * bytesOfNumbers(storageType(dtype), columns);
}

/** All rows as ranges with at most `blockNumbers` numbers each, or one row where that has more. */
export function rowBlocks([rows, columns]: readonly [number, number], blockNumbers: number): RowRange[] {
  const rowsPerBlock = Math.max(1, Math.floor(blockNumbers / columns));
  const blocks: RowRange[] = [];
  for (let start = 0; start < rows; start += rowsPerBlock)
    blocks.push({ start, stop: Math.min(start + rowsPerBlock, rows) });
  return blocks;
}

/** A range of rows as a matrix of its own. */
export function rowsOf(source: MatrixSource, { start, stop }: RowRange): MatrixSource {
  const { name, dtype, shape, bytes } = source;
  const rowBytes = storedBytes(source) / shape[0];
  return {
    name,
    dtype,
    shape: [stop - start, shape[1]],
    ...(bytes && { bytes: bytes.subarray(start * rowBytes, stop * rowBytes) }),
    readInto: (target, rows) =>
      source.readInto(target, { start: start + rows.start, stop: start + rows.stop }),
  };
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
    dtype: isPacked(dtype) ? dtype : WEIGHT_TYPES[dtype],
    transposed,
    location: file.location(name),
    readInto: (target, rows) => file.readInto(name, target, rows),
    readRows: (indices) => file.readVectors(name, indices),
  };
}
