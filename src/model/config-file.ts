/**
 * Model, reading config.json: what the readers of all families share. A key is read by the family, or has to have a value
 * under which it changes nothing, or is ignored as transformers ignores it (docs/decisions/2026-11-28-config-keys.md).
 */
import { isDeepStrictEqual } from 'node:util';
import * as v from 'valibot';
import { BadFileError } from '../errors.ts';
import { checkSchema } from '../formats/parsed-text.ts';

/** The content of a config.json. */
export type ConfigDocument = Readonly<Record<string, unknown>>;

/** By key: the values, beside null, under which it changes nothing. */
export type NeutralValues = Readonly<Record<string, readonly unknown[]>>;

/** Keys that change a pass in each family of transformers that reads them. */
const NEUTRAL_VALUES: NeutralValues = {
  attention_bias: [false],
  qkv_bias: [false],
  mlp_bias: [false],
  lm_head_bias: [false],
  use_qk_norm: [false],
  qk_norm: [false],
  qk_layernorm: [false],
  is_causal: [true],
  use_bidirectional_attention: [false],
  attention_chunk_size: [],
  alibi: [false],
  clip_qkv: [],
  partial_rotary_factor: [1],
  rotary_pct: [1],
  no_rope_layers: [[]],
  embedding_multiplier: [1],
  residual_multiplier: [1],
  logits_scaling: [1],
  logit_scale: [1],
  use_parallel_residual: [false],
  num_experts: [0],
  num_local_experts: [0],
  num_kv_shared_layers: [0],
  pruned_heads: [{}],
  per_layer_config: [{}],
  // Names another file than the one that is read here.
  transformers_weights: ['model.safetensors'],
};

type Entries = v.ObjectEntries;

/**
 * What a family reads of config.json, checked. Throws `BadFileError` that names a field of a wrong type, and a key that is
 * not read although it would change the computation.
 * @param neutral keys that change a pass of this family, in addition to those of all families
 */
export function readFields<E extends Entries>(
  name: string,
  document: ConfigDocument,
  schema: v.ObjectSchema<E, undefined>,
  neutral: NeutralValues = {},
): v.InferOutput<v.ObjectSchema<E, undefined>> {
  for (const [key, values] of Object.entries({ ...NEUTRAL_VALUES, ...neutral })) {
    if (!Object.hasOwn(schema.entries, key)) checkNeutral(name, key, document[key], values);
  }
  return checkSchema(name, document, schema);
}

function checkNeutral(name: string, key: string, found: unknown, values: readonly unknown[]): void {
  if (found === undefined || found === null || values.some((value) => isDeepStrictEqual(value, found)))
    return;
  const expected = [...values.map((value) => JSON.stringify(value)), 'null'].join(' or ');
  refuseConfig(name, key, found, `${expected}: what else it stands for is not computed here`);
}

/** Longest value that is shown whole. */
const LONGEST_VALUE = 200;

/** A value of config.json for a message: its JSON, cut where it is long. */
export function valueText(found: unknown): string {
  const text = JSON.stringify(found) ?? 'missing';
  return text.length > LONGEST_VALUE ? `${text.slice(0, LONGEST_VALUE)}…` : text;
}

/** Throws the `BadFileError` for a key whose value is not supported. */
export function refuseConfig(name: string, key: string, found: unknown, expected: string): never {
  throw new BadFileError({
    code: 'bad_config',
    message: `${name}: ${key} is ${valueText(found)}, expected ${expected}`,
    hint: 'Check that the file belongs to this checkpoint and is unchanged. A checkpoint that really has this value cannot be traced.',
  });
}
