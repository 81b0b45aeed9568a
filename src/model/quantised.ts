/** Model: recognises quantised checkpoints, by config.json, by types of tensors and by keys. */
import { BadFileError } from '../errors.ts';
import type { TensorFile } from '../formats/tensor-file.ts';
import { valueText, type ConfigDocument } from './config-file.ts';

/** What weights belong to, as hints name it. */
export type WeightOwner = 'checkpoint' | 'transcoder set';

/** The hint for a quantised checkpoint or set. */
export function notQuantised(owner: WeightOwner): string {
  return `Name a ${owner} that is not quantised, or one that was converted back to float32, float16 or bfloat16.`;
}

/** Keys of config.json: of transformers, of MLX, and of older files of compressed-tensors. */
const CONFIG_KEYS = ['quantization_config', 'quantization', 'compression_config'];

/**
 * Whether config.json says that the weights are packed in the way that the family knows. Throws `BadFileError` when it says that
 * they are quantised in any other.
 * @param method `quant_method` that the family knows
 */
export function isQuantised(document: ConfigDocument, name: string, method?: string): boolean {
  const key = CONFIG_KEYS.find((each) => isGiven(document[each]));
  if (key === undefined) return false;
  const given = document[key] as Readonly<Record<string, unknown>>;
  if (method !== undefined && given['quant_method'] === method) return true;
  throw new BadFileError({
    code: 'quantised',
    message: `${name} says that the checkpoint is quantised: ${key} is ${valueText(document[key])}`,
    hint: notQuantised('checkpoint'),
  });
}

function isGiven(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0;
  return value !== undefined && value !== null && value !== false;
}

/** Types that stand for weights only together with scales, or packed several into one number. */
const PACKED_TYPES =
  /^(?:[IU](?:8|16|32|64)|BOOL|F4|F6_E2M3|F6_E3M2|F8_E5M2|F8_E4M3|F8_E5M2FNUZ|F8_E4M3FNUZ|F8_E8M0)$/;

/** Types of ggml that stand for several numbers a block. */
const GGML_TYPES = /^(?:Q|TQ|IQ)\d_/;

export function isGgmlType(dtype: string): boolean {
  return GGML_TYPES.test(dtype);
}

export function isPackedType(dtype: string): boolean {
  return PACKED_TYPES.test(dtype);
}

/** Names of adapters of PEFT, beside or around the weights that they change. */
const ADAPTER = /\.(?:base_layer|lora_\w+)\b/;
const MOST_NAMED = 3;

/** Why there is no tensor of a parameter: its module may hold it in other tensors (`q_proj.qweight`, `q_proj.scales`). */
export function missingWeight(file: TensorFile, key: string, shape: readonly number[]): BadFileError {
  const module = key.slice(0, key.lastIndexOf('.') + 1);
  // A bias has no other form: what its module holds beside it says nothing.
  const parts = key.endsWith('bias')
    ? []
    : [...file.tensors.keys()].filter((name) => name.startsWith(module) && !name.endsWith('.bias'));
  const missing = `${file.name} has no tensor ${key} [${shape.join(', ')}]`;
  const instead = `${missing}, but ${parts.slice(0, MOST_NAMED).join(', ')}`;
  if (parts.some((name) => ADAPTER.test(name))) {
    return new BadFileError({
      code: 'missing_tensor',
      message: `${instead}: an adapter that was not merged`,
      hint: 'Merge it into the weights (merge_and_unload of PEFT) and save those.',
    });
  }
  if (parts.length > 0) {
    return new BadFileError({
      code: 'missing_tensor',
      message: `${instead}: the checkpoint is quantised`,
      hint: notQuantised('checkpoint'),
    });
  }
  return new BadFileError({
    code: 'missing_tensor',
    message: missing,
    hint: 'Does config.json belong to these weights?',
  });
}
