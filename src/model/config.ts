/** Model: what a forward pass has to know of a checkpoint, read once from config.json and trusted afterwards. */
import * as v from 'valibot';
import { BadFileError } from '../errors.ts';
import { familyOf, type Family } from './families.ts';

export type AttentionType = 'local' | 'global';

/** Dimensions and constants of a transformer, in TransformerLens' terms. */
export interface TransformerConfig {
  readonly family: Family;
  readonly n_layers: number;
  readonly d_model: number;
  readonly n_heads: number;
  readonly n_kv_heads: number;
  readonly d_head: number;
  readonly d_mlp: number;
  readonly d_vocab: number;
  /** Longest prompt, in tokens. */
  readonly n_ctx: number;
  readonly eps: number;
  readonly rotary_base: number;
  /** Attention scores are divided by this: sqrt(query_pre_attn_scalar). */
  readonly attn_scale: number;
  /** One entry a layer. */
  readonly attn_types: readonly AttentionType[];
  /** A query of a local layer sees this many keys, its own included; null: all of them. */
  readonly window_size: number | null;
  readonly attn_scores_soft_cap: number | null;
  readonly output_logits_soft_cap: number | null;
  /** Token embeddings are multiplied by this when they enter the residual stream. */
  readonly embed_scale: number;
  readonly tie_word_embeddings: boolean;
}

/** Far above every model; more means a damaged file, and each layer has a place in several lists. */
const MOST_LAYERS = 10_000;

const positiveInteger = v.pipe(v.number(), v.integer(), v.minValue(1));
const positive = v.pipe(v.number(), v.gtValue(0));

/** The fields of config.json that matter, in its old form (no `layer_types`, `hidden_act`) and its new one. */
export const ConfigFile = v.object({
  architectures: v.optional(v.array(v.string())),
  model_type: v.string(),
  hidden_size: positiveInteger,
  num_hidden_layers: v.pipe(positiveInteger, v.maxValue(MOST_LAYERS)),
  num_attention_heads: positiveInteger,
  num_key_value_heads: positiveInteger,
  head_dim: positiveInteger,
  intermediate_size: positiveInteger,
  vocab_size: positiveInteger,
  max_position_embeddings: positiveInteger,
  rms_norm_eps: v.optional(positive, 1e-6),
  rope_theta: v.optional(positive, 10_000),
  rope_parameters: v.optional(
    v.nullable(v.object({ rope_theta: v.optional(positive), rope_type: v.optional(v.string()) })),
  ),
  rope_scaling: v.optional(v.nullable(v.unknown())),
  query_pre_attn_scalar: positive,
  sliding_window: v.optional(v.nullable(positiveInteger)),
  layer_types: v.optional(v.nullable(v.array(v.string()))),
  attn_logit_softcapping: v.optional(v.nullable(positive)),
  final_logit_softcapping: v.optional(v.nullable(positive)),
  hidden_activation: v.optional(v.nullable(v.string())),
  hidden_act: v.optional(v.string()),
  attention_bias: v.optional(v.boolean(), false),
  tie_word_embeddings: v.optional(v.boolean(), true),
});
export type ConfigFile = v.InferOutput<typeof ConfigFile>;

/**
 * Turns the content of `config.json` (checked against `ConfigFile`) into a configuration.
 * Throws `BadFileError` when the architecture is unknown or the dimensions contradict each other; `name` is for its message.
 */
export function transformerConfig(file: ConfigFile, name: string): TransformerConfig {
  const family = familyOf(file.model_type, name);
  const refuse = (field: string, found: unknown, expected: string): never => {
    throw new BadFileError({
      code: 'bad_config',
      message: `${name}: ${field} is ${JSON.stringify(found)}, expected ${expected}`,
      hint: 'Check that the file belongs to this checkpoint and is unchanged.',
    });
  };
  const activation = file.hidden_activation ?? file.hidden_act ?? family.act_fn;
  if (activation !== family.act_fn && !family.act_fn_aliases.includes(activation)) {
    refuse('hidden_activation', activation, `"${family.act_fn}" for ${file.model_type}`);
  }
  if (file.attention_bias)
    refuse('attention_bias', true, 'false: projections with a bias are not known here');
  if (file.num_attention_heads % file.num_key_value_heads !== 0) {
    refuse(
      'num_key_value_heads',
      file.num_key_value_heads,
      `a divisor of num_attention_heads = ${file.num_attention_heads}`,
    );
  }
  if (file.head_dim % 2 !== 0)
    refuse('head_dim', file.head_dim, 'an even number: rotary embeddings pair its halves');
  if (file.rope_scaling)
    refuse('rope_scaling', file.rope_scaling, 'null: scaled rotations are not known here');
  const { rope_type = 'default' } = file.rope_parameters ?? {};
  if (rope_type !== 'default') refuse('rope_parameters.rope_type', rope_type, '"default"');
  return {
    family,
    n_layers: file.num_hidden_layers,
    d_model: file.hidden_size,
    n_heads: file.num_attention_heads,
    n_kv_heads: file.num_key_value_heads,
    d_head: file.head_dim,
    d_mlp: file.intermediate_size,
    d_vocab: file.vocab_size,
    n_ctx: file.max_position_embeddings,
    eps: file.rms_norm_eps,
    rotary_base: file.rope_parameters?.rope_theta ?? file.rope_theta,
    attn_scale: Math.sqrt(file.query_pre_attn_scalar),
    attn_types: attentionTypes(file, family, refuse),
    window_size: given(file.sliding_window, family.defaultWindow),
    attn_scores_soft_cap: given(file.attn_logit_softcapping, family.defaultSoftCaps.attn_scores),
    output_logits_soft_cap: given(file.final_logit_softcapping, family.defaultSoftCaps.output_logits),
    embed_scale: family.scalesEmbedding ? Math.sqrt(file.hidden_size) : 1,
    tie_word_embeddings: file.tie_word_embeddings,
  };
}

/** A key that is absent stands for the family's default; one that is null says that there is none. */
function given(value: number | null | undefined, absent: number | null): number | null {
  return value === undefined ? absent : value;
}

const LAYER_TYPES: Readonly<Record<string, AttentionType>> = {
  sliding_attention: 'local',
  full_attention: 'global',
};

function attentionTypes(
  file: ConfigFile,
  family: Family,
  refuse: (field: string, found: unknown, expected: string) => never,
): AttentionType[] {
  const { num_hidden_layers: n, layer_types } = file;
  if (!layer_types) return Array.from({ length: n }, (_, layer) => family.defaultAttention(layer));
  if (layer_types.length !== n) refuse('layer_types', layer_types, `${n} entries, one a layer`);
  return layer_types.map(
    (type, i) =>
      LAYER_TYPES[type] ?? refuse(`layer_types[${i}]`, type, '"sliding_attention" or "full_attention"'),
  );
}
