/** Model: the types that weights may be stored in, checked once when a checkpoint or a set is opened. */
import type { WeightInfo } from '../backend/weight-source.ts';
import { BadFileError } from '../errors.ts';
import type { TensorInfo } from '../formats/tensor-file.ts';

const WEIGHT_TYPES: readonly string[] = ['F32', 'F16', 'BF16'] satisfies WeightInfo['dtype'][];

/** Types that stand for weights only together with scales, or packed several into one number. */
const PACKED_TYPES =
  /^(?:[IU](?:8|16|32|64)|BOOL|F4|F6_E2M3|F6_E3M2|F8_E5M2|F8_E4M3|F8_E5M2FNUZ|F8_E4M3FNUZ|F8_E8M0)$/;

/** The next step for whoever has a quantised checkpoint. */
export const NOT_QUANTISED =
  'Name a checkpoint that is not quantised, or one that was converted back to float32, float16 or bfloat16.';

function isWeight(info: TensorInfo): info is WeightInfo {
  return WEIGHT_TYPES.includes(info.dtype);
}

/** The tensor, with the type of a weight. Throws `BadFileError` that names the tensor and says whether it is quantised. */
export function weightInfo(fileName: string, info: TensorInfo): WeightInfo {
  if (isWeight(info)) return info;
  const isPacked = PACKED_TYPES.test(info.dtype);
  throw new BadFileError({
    code: 'tensor_dtype',
    message: `${fileName}: ${info.name} is stored as ${info.dtype}${isPacked ? ', so it is quantised' : ''}; known are ${WEIGHT_TYPES.join(', ')}`,
    hint: isPacked ? NOT_QUANTISED : `Convert it to one of these types. ${NOT_QUANTISED}`,
  });
}
