/** Model: the types that weights may be stored in, checked once when a checkpoint or a set is opened. */
import { STORED_WEIGHT_TYPES, type WeightInfo } from '../backend/weight-source.ts';
import { BadFileError } from '../errors.ts';
import { isPacked } from '../formats/packed.ts';
import type { TensorInfo } from '../formats/tensor-file.ts';
import { isGgmlType, isPackedType, notQuantised, type WeightOwner } from './quantised.ts';

const WEIGHT_TYPES: readonly string[] = STORED_WEIGHT_TYPES;
/** Those that other files than GGUF have. */
const ELEMENT_TYPES = WEIGHT_TYPES.filter((type) => !isPacked(type));

function isWeight(info: TensorInfo): info is WeightInfo {
  return WEIGHT_TYPES.includes(info.dtype);
}

/** Other types in which a tensor holds the numbers themselves. */
const CONVERTIBLE_TYPES: readonly string[] = ['F64', 'C64'];

/** The tensor, with the type of a weight. Throws `BadFileError` that names the tensor and says whether it is quantised. */
export function weightInfo(fileName: string, info: TensorInfo, owner: WeightOwner): WeightInfo {
  if (isWeight(info)) return info;
  if (isGgmlType(info.dtype)) {
    throw new BadFileError({
      code: 'tensor_dtype',
      message: `${fileName}: ${info.name} is stored as ${info.dtype}, so it is quantised in a way that is not read; known are ${WEIGHT_TYPES.join(', ')}`,
      hint: 'Name a file of the same model with one of these types, such as Q8_0 or Q4_K_M.',
    });
  }
  const isQuantised = isPackedType(info.dtype);
  throw new BadFileError({
    code: 'tensor_dtype',
    message: `${fileName}: ${info.name} is stored as ${info.dtype}${isQuantised ? ', so it is quantised' : ''}; known are ${ELEMENT_TYPES.join(', ')}`,
    hint: hintFor(info.dtype, owner),
  });
}

function hintFor(dtype: string, owner: WeightOwner): string {
  const convert = 'Convert it to one of these types.';
  if (isPackedType(dtype)) return notQuantised(owner);
  // Of a type that is not known at all, both may be right.
  return CONVERTIBLE_TYPES.includes(dtype) ? convert : `${convert} ${notQuantised(owner)}`;
}
