/** Engine: storage types in plain words. */
import { isPacked } from '../formats/packed.ts';
import type { StorageType } from '../formats/tensor-file.ts';

const PLAIN_TYPES: Partial<Record<StorageType, string>> = {
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
};

export function plainType(dtype: StorageType): string {
  return PLAIN_TYPES[dtype] ?? (isPacked(dtype) ? dtype : dtype.toLowerCase());
}
