/** Model, families: fields that most families since Llama have in common, and what they say. */
import * as v from 'valibot';
import { refuseConfig } from '../config-file.ts';
import type { AttentionType } from '../block-spec.ts';

/** Far above every model; more means a damaged file, for which large lists would be allocated. */
export const MOST_LAYERS = 10_000;

export const positiveInteger = v.pipe(v.number(), v.integer(), v.minValue(1));
export const positive = v.pipe(v.number(), v.gtValue(0));
export const nullable = <S extends v.GenericSchema>(schema: S) => v.optional(v.nullable(schema));

export const DecoderFields = {
  hidden_size: positiveInteger,
  num_hidden_layers: v.pipe(positiveInteger, v.maxValue(MOST_LAYERS)),
  num_attention_heads: positiveInteger,
  num_key_value_heads: nullable(positiveInteger),
  head_dim: nullable(positiveInteger),
  intermediate_size: positiveInteger,
  vocab_size: positiveInteger,
  max_position_embeddings: positiveInteger,
  rope_theta: nullable(positive),
  rope_parameters: v.optional(v.unknown()),
  rope_scaling: v.optional(v.unknown()),
  layer_types: v.optional(v.nullable(v.array(v.string()))),
  sliding_window: nullable(positiveInteger),
  hidden_act: nullable(v.string()),
  tie_word_embeddings: nullable(v.boolean()),
};

interface HeadFields {
  readonly hidden_size: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads?: number | null | undefined;
  readonly head_dim?: number | null | undefined;
}

/** Heads: as many key/value heads as query heads, and a head_dim that divides hidden_size, where the file does not say. */
function readHeads(
  name: string,
  fields: HeadFields,
): { n_heads: number; n_kv_heads: number; d_head: number } {
  const { hidden_size, num_attention_heads: n_heads } = fields;
  const n_kv_heads = fields.num_key_value_heads ?? n_heads;
  if (n_heads % n_kv_heads !== 0)
    refuseConfig(name, 'num_key_value_heads', n_kv_heads, `a divisor of num_attention_heads = ${n_heads}`);
  if (!fields.head_dim && hidden_size % n_heads !== 0)
    refuseConfig(
      name,
      'num_attention_heads',
      n_heads,
      `a divisor of hidden_size = ${hidden_size}, or head_dim`,
    );
  const d_head = fields.head_dim ?? hidden_size / n_heads;
  if (d_head % 2 !== 0)
    refuseConfig(name, 'head_dim', d_head, 'an even number: rotary embeddings pair its halves');
  return { n_heads, n_kv_heads, d_head };
}

interface DimensionFields extends HeadFields {
  readonly num_hidden_layers: number;
  readonly intermediate_size: number;
  readonly vocab_size: number;
  readonly max_position_embeddings: number;
}

/** Dimensions under the keys of `DecoderFields`. */
export function readDimensions(name: string, fields: DimensionFields) {
  return {
    n_layers: fields.num_hidden_layers,
    d_model: fields.hidden_size,
    ...readHeads(name, fields),
    d_mlp: fields.intermediate_size,
    d_vocab: fields.vocab_size,
    n_ctx: fields.max_position_embeddings,
  };
}

/** What `layer_types` may say. */
export const LAYER_TYPES: ReadonlyMap<string, AttentionType> = new Map([
  ['sliding_attention', 'local'],
  ['full_attention', 'global'],
]);

/** The attention type of each layer: `layer_types`, else what the family has where it is missing. */
export function readLayerTypes(
  name: string,
  {
    num_hidden_layers: n,
    layer_types,
  }: { num_hidden_layers: number; layer_types?: string[] | null | undefined },
  otherwise: (layer: number) => AttentionType,
): AttentionType[] {
  if (!layer_types) return Array.from({ length: n }, (_, layer) => otherwise(layer));
  if (layer_types.length !== n) refuseConfig(name, 'layer_types', layer_types, `${n} entries, one a layer`);
  const expected = [...LAYER_TYPES.keys()].map((type) => `"${type}"`).join(' or ');
  return layer_types.map(
    (type, i) => LAYER_TYPES.get(type) ?? refuseConfig(name, `layer_types[${i}]`, type, expected),
  );
}

/** The activation function under one of its names. */
export function checkActivation(name: string, key: string, found: string, known: readonly string[]): void {
  if (!known.includes(found)) refuseConfig(name, key, found, known.map((each) => `"${each}"`).join(' or '));
}
