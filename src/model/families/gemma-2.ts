/** Model, family: Gemma 2. What its config.json says, with the defaults of Hugging Face's Gemma2Config, and its keys. */
import * as v from 'valibot';
import { BLOCK_NORMS, type AttentionType, type BlockSpec } from '../block-spec.ts';
import { jsonObject } from '../../formats/json-object.ts';
import { readFields, refuseConfig, type ConfigDocument } from '../config-file.ts';
import { plainRotaryBase } from '../config-rope.ts';
import type { TransformerConfig } from '../config.ts';
import { decoderNaming } from '../decoder-naming.ts';
import type { Family } from '../family.ts';
import { GGUF_GEMMA_NORMS, ggufNaming } from '../gguf-naming.ts';
import { sameRotary } from '../rope.ts';
import {
  LAYER_TYPES,
  MOST_LAYERS,
  positive,
  positiveInteger,
  readHeads,
  readLayerTypes,
} from './decoder-fields.ts';

/** In its old form (no `layer_types`, `hidden_act`) and its new one (`rope_parameters`). */
const Fields = jsonObject({
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
  rope_parameters: v.optional(v.unknown()),
  rope_scaling: v.optional(v.unknown()),
  query_pre_attn_scalar: positive,
  sliding_window: v.optional(v.nullable(positiveInteger), 4096),
  sliding_window_size: v.optional(v.nullable(positiveInteger)),
  sliding_window_pattern: v.optional(v.nullable(positiveInteger)),
  layer_types: v.optional(v.nullable(v.array(v.string()))),
  attn_logit_softcapping: v.optional(v.nullable(positive), 50),
  final_logit_softcapping: v.optional(v.nullable(positive), 30),
  hidden_activation: v.optional(v.nullable(v.string())),
  hidden_act: v.optional(v.nullable(v.string())),
  tie_word_embeddings: v.optional(v.boolean(), true),
});
type Fields = v.InferOutput<typeof Fields>;

const FAMILY: Family = {
  architecture: 'Gemma2ForCausalLM',
  defaultEndTokens: [1],
  naming: decoderNaming({
    ln1: 'input_layernorm',
    ln1_post: 'post_attention_layernorm',
    ln2: 'pre_feedforward_layernorm',
    ln2_post: 'post_feedforward_layernorm',
  }),
  gguf: ggufNaming(GGUF_GEMMA_NORMS),
};

const BLOCK: BlockSpec = {
  norm: { kind: 'rms', gainOffset: 1 },
  norms: BLOCK_NORMS,
  residual: 'sequential',
  biased: [],
  qkNorm: 'none',
  mlp: 'gated',
  act_fn: 'gelu_pytorch_tanh',
};

/** `model_type` of config.json. */
export const GEMMA_2 = 'gemma2';

/** The configuration of a checkpoint. Throws `BadFileError` for what is not computed, naming the key and its value. */
export function readGemma2(document: ConfigDocument, name: string): TransformerConfig {
  const fields = readFields(name, document, Fields);
  checkActivation(name, fields);
  const heads = readHeads(name, fields);
  const attn_types = attentionTypes(name, fields);
  const { sliding_window, sliding_window_size } = fields;
  // The name of the first releases: it may repeat the window.
  if ((sliding_window_size ?? sliding_window) !== sliding_window)
    refuseConfig(name, 'sliding_window_size', sliding_window_size, `${sliding_window} as sliding_window`);
  return {
    family: FAMILY,
    n_layers: fields.num_hidden_layers,
    d_model: fields.hidden_size,
    ...heads,
    d_mlp: fields.intermediate_size,
    d_vocab: fields.vocab_size,
    n_ctx: fields.max_position_embeddings,
    block: BLOCK,
    eps: fields.rms_norm_eps,
    positions: 'rotary',
    rotary: sameRotary(
      fields.head_dim,
      plainRotaryBase(name, fields, {
        known: [...LAYER_TYPES.keys()],
        used: [...LAYER_TYPES].filter(([, type]) => attn_types.includes(type)).map(([key]) => key),
      }),
    ),
    attn_scale: Math.sqrt(fields.query_pre_attn_scalar),
    attn_types,
    window_size: sliding_window,
    attn_scores_soft_cap: fields.attn_logit_softcapping,
    output_logits_soft_cap: fields.final_logit_softcapping,
    embed_scale: Math.sqrt(fields.hidden_size),
    tie_word_embeddings: fields.tie_word_embeddings,
  };
}

/** Other names of the same function. Under `hidden_act`, which transformers does not read, "gelu" means it too. */
const ACTIVATIONS = ['gelu_pytorch_tanh', 'gelu_new'];
const OLD_ACTIVATIONS = [...ACTIVATIONS, 'gelu'];

function checkActivation(name: string, { hidden_activation, hidden_act }: Fields): void {
  const [key, found, known] = hidden_activation
    ? (['hidden_activation', hidden_activation, ACTIVATIONS] as const)
    : (['hidden_act', hidden_act ?? BLOCK.act_fn, OLD_ACTIVATIONS] as const);
  if (!known.includes(found)) refuseConfig(name, key, found, `"${BLOCK.act_fn}" for ${GEMMA_2}`);
}

/** Every second layer sees all keys. */
const PATTERN = 2;

function attentionTypes(name: string, fields: Fields): AttentionType[] {
  const { layer_types, sliding_window_pattern } = fields;
  // A key of Gemma 3, where it is not read either beside `layer_types`.
  if (!layer_types && (sliding_window_pattern ?? PATTERN) !== PATTERN)
    refuseConfig(name, 'sliding_window_pattern', sliding_window_pattern, `${PATTERN}, or layer_types`);
  // Layer 0 is local (Hugging Face's Gemma2Config; TransformerLens' built-in table has it the other way round).
  return readLayerTypes(name, fields, (layer) => ((layer + 1) % PATTERN === 0 ? 'global' : 'local'));
}
