/** Model, family: Gemma (the first): two norms a block, all keys in every layer, no caps. */
import * as v from 'valibot';
import { jsonObject } from '../../formats/json-object.ts';
import { readFields, type ConfigDocument } from '../config-file.ts';
import { plainRotaryBase } from '../config-rope.ts';
import type { TransformerConfig } from '../config.ts';
import { decoderNaming } from '../decoder-naming.ts';
import { sameRotary } from '../rope.ts';
import {
  checkActivation,
  DecoderFields,
  LAYER_TYPES,
  nullable,
  positive,
  readHeads,
  readLayerTypes,
} from './decoder-fields.ts';

const Fields = jsonObject({
  ...DecoderFields,
  rms_norm_eps: v.optional(positive, 1e-6),
  hidden_activation: nullable(v.string()),
});

const DEFAULT_BASE = 10_000;
/** Of the released files, which leave the activation to `hidden_act`; "gelu" there means the same, as in transformers. */
const ACTIVATIONS = ['gelu_pytorch_tanh', 'gelu_new', 'gelu'];

/** `model_type` of config.json. */
export const GEMMA = 'gemma';

export function readGemma(document: ConfigDocument, name: string): TransformerConfig {
  const fields = readFields(name, document, Fields);
  const key = fields.hidden_activation ? 'hidden_activation' : 'hidden_act';
  checkActivation(name, key, fields[key] ?? 'gelu_pytorch_tanh', ACTIVATIONS);
  const heads = readHeads(name, fields);
  const base = plainRotaryBase(
    name,
    { ...fields, rope_theta: fields.rope_theta ?? DEFAULT_BASE },
    { known: [...LAYER_TYPES.keys()], used: ['full_attention'] },
  );
  return {
    family: {
      architecture: 'GemmaForCausalLM',
      defaultEndTokens: [1],
      naming: decoderNaming({ ln1: 'input_layernorm', ln2: 'post_attention_layernorm' }),
    },
    n_layers: fields.num_hidden_layers,
    d_model: fields.hidden_size,
    ...heads,
    d_mlp: fields.intermediate_size,
    d_vocab: fields.vocab_size,
    n_ctx: fields.max_position_embeddings,
    block: {
      norm: { kind: 'rms', gainOffset: 1 },
      norms: ['ln1', 'ln2'],
      residual: 'sequential',
      biased: [],
      qkNorm: 'none',
      mlp: 'gated',
      act_fn: 'gelu_pytorch_tanh',
    },
    eps: fields.rms_norm_eps,
    positions: 'rotary',
    rotary: sameRotary(heads.d_head, base),
    attn_scale: Math.sqrt(heads.d_head),
    attn_types: readLayerTypes(name, fields, () => 'global'),
    window_size: null,
    attn_scores_soft_cap: null,
    output_logits_soft_cap: null,
    embed_scale: Math.sqrt(fields.hidden_size),
    tie_word_embeddings: fields.tie_word_embeddings ?? true,
  };
}
