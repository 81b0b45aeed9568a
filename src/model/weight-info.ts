/** Model: the types that weights may be stored in, checked once when a checkpoint or a set is opened. */
import type { WeightInfo } from '../backend/weight-source.ts';
import { BadFileError } from '../errors.ts';
import type { TensorInfo } from '../formats/tensor-file.ts';
import { isPackedType, NOT_QUANTISED } from './quantised.ts';

const WEIGHT_TYPES: readonly string[] = ['F32', 'F16', 'BF16'] satisfies WeightInfo['dtype'][];

function isWeight(info: TensorInfo): info is WeightInfo {
  return WEIGHT_TYPES.includes(info.dtype);
}

/** The tensor, with the type of a weight. Throws `BadFileError` that names the tensor and says whether it is quantised. */
export function weightInfo(fileName: string, info: TensorInfo): WeightInfo {
  if (isWeight(info)) return info;
  const isPacked = isPackedType(info.dtype);
  throw new BadFileError({
    code: 'tensor_dtype',
    message: `${fileName}: ${info.name} is stored as ${info.dtype}${isPacked ? ', so it is quantised' : ''}; known are ${WEIGHT_TYPES.join(', ')}`,
    hint: isPacked ? NOT_QUANTISED : `Convert it to one of these types. ${NOT_QUANTISED}`,
  });
}
