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
  readDimensions,
  readLayerTypes,
} from './decoder-fields.ts';
import { GEMMA_ACTIVATION, gemmaBlock } from './gemma-block.ts';

const Fields = jsonObject({
  ...DecoderFields,
  rms_norm_eps: v.optional(positive, 1e-6),
  hidden_activation: nullable(v.string()),
});

const DEFAULT_BASE = 10_000;
const DEFAULT_HEAD = 256;
/** Of the released files, which leave the activation to `hidden_act`; "gelu" there means the same, as in transformers. */
const ACTIVATIONS = [GEMMA_ACTIVATION, 'gelu_new', 'gelu'];

/** `model_type` of config.json. */
export const GEMMA = 'gemma';

export function readGemma(document: ConfigDocument, name: string): TransformerConfig {
  const fields = readFields(name, document, Fields);
  const key = fields.hidden_activation ? 'hidden_activation' : 'hidden_act';
  checkActivation(name, key, fields[key] ?? GEMMA_ACTIVATION, ACTIVATIONS);
  const dimensions = readDimensions(name, { ...fields, head_dim: fields.head_dim ?? DEFAULT_HEAD });
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
    ...dimensions,
    block: gemmaBlock(['ln1', 'ln2'], 'none'),
    eps: fields.rms_norm_eps,
    positions: 'rotary',
    rotary: sameRotary(dimensions.d_head, base),
    attn_scale: Math.sqrt(dimensions.d_head),
    attn_types: readLayerTypes(name, fields, () => 'global'),
    window_size: null,
    attn_scores_soft_cap: null,
    output_logits_soft_cap: null,
    embed_scale: Math.sqrt(fields.hidden_size),
    tie_word_embeddings: fields.tie_word_embeddings ?? true,
  };
}
