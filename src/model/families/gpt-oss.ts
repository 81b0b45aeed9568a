/** Model, family: GPT-OSS: experts, attention sinks, biases, YaRN, and every second layer with a window. */
import * as v from 'valibot';
import { jsonObject } from '../../formats/json-object.ts';
import { ATTENTION_MATRICES } from '../block-spec.ts';
import { readFields, refuseConfig, type ConfigDocument } from '../config-file.ts';
import { rotaryChoice } from '../config-rope-scaling.ts';
import type { TransformerConfig } from '../config.ts';
import { decoderNaming } from '../decoder-naming.ts';
import { MXFP4_GROUP } from '../mxfp4.ts';
import { isQuantised } from '../quantised.ts';
import type { Naming, Place } from '../naming.ts';
import { expertPath } from '../parameters.ts';
import { sameRotary } from '../rope.ts';
import {
  checkActivation,
  DecoderFields,
  LAYER_TYPES,
  nullable,
  positive,
  positiveInteger,
  readDimensions,
  readLayerTypes,
} from './decoder-fields.ts';

const Fields = jsonObject({
  ...DecoderFields,
  head_dim: v.optional(positiveInteger, 64),
  sliding_window: v.optional(positiveInteger, 128),
  num_local_experts: v.optional(positiveInteger, 128),
  num_experts_per_tok: v.optional(positiveInteger, 4),
  rms_norm_eps: v.optional(positive, 1e-5),
  attention_bias: nullable(v.boolean()),
});

/** Of all layers together. Far above every model, as `MOST_LAYERS`: each has four parameters. */
const MOST_EXPERTS = 100_000;

/** Constants of its experts, which transformers 4 does not read. */
const LIMIT = 7;
const SLOPE = 1.702;
const NEUTRAL = { swiglu_limit: [LIMIT], swiglu_alpha: [SLOPE] };

const DEFAULT_BASE = 150_000;
const DEFAULT_SCALING = {
  rope_type: 'yarn',
  factor: 32,
  beta_fast: 32,
  beta_slow: 1,
  truncate: false,
  original_max_position_embeddings: 4096,
};

/** `model_type` of config.json. */
export const GPT_OSS = 'gpt_oss';
/** `quant_method` of the published files. */
export const GPT_OSS_PACKING = 'mxfp4';

export function readGptOss(document: ConfigDocument, name: string): TransformerConfig {
  const fields = readFields(name, document, Fields, NEUTRAL);
  checkActivation(name, 'hidden_act', fields.hidden_act ?? 'silu', ['silu', 'swish']);
  const dimensions = readDimensions(name, fields);
  const n_experts = fields.num_local_experts;
  const n_experts_per_token = fields.num_experts_per_tok;
  if (n_experts * fields.num_hidden_layers > MOST_EXPERTS)
    refuseConfig(
      name,
      'num_local_experts',
      n_experts,
      `at most ${MOST_EXPERTS} experts in ${fields.num_hidden_layers} layers`,
    );
  if (n_experts_per_token > n_experts)
    refuseConfig(
      name,
      'num_experts_per_tok',
      n_experts_per_token,
      `at most num_local_experts = ${n_experts}`,
    );
  const isPacked = isQuantised(document, name, GPT_OSS_PACKING);
  for (const key of isPacked ? (['hidden_size', 'intermediate_size'] as const) : []) {
    if (fields[key] % MXFP4_GROUP !== 0)
      refuseConfig(name, key, fields[key], `a multiple of ${MXFP4_GROUP}: the experts are packed as mxfp4`);
  }
  const hasOwnScaling = 'rope_scaling' in document || 'rope_parameters' in document;
  const { base, scaling } = rotaryChoice(
    name,
    {
      ...fields,
      rope_theta: fields.rope_theta ?? DEFAULT_BASE,
      ...(!hasOwnScaling && { rope_scaling: DEFAULT_SCALING }),
    },
    { known: [...LAYER_TYPES.keys()], used: [...LAYER_TYPES.keys()] },
    ['yarn', 'linear', 'llama3'],
  );
  const hasBiases = fields.attention_bias ?? true;
  return {
    family: {
      architecture: 'GptOssForCausalLM',
      defaultEndTokens: [],
      naming: expertNaming(n_experts, isPacked),
    },
    ...dimensions,
    block: {
      norm: { kind: 'rms', gainOffset: 0 },
      norms: ['ln1', 'ln2'],
      residual: 'sequential',
      biased: [...(hasBiases ? ATTENTION_MATRICES : []), 'W_router'],
      qkNorm: 'none',
      sinks: true,
      mlp: 'experts',
      experts: { n_experts, n_experts_per_token, limit: LIMIT, slope: SLOPE },
      act_fn: 'silu',
    },
    eps: fields.rms_norm_eps,
    positions: 'rotary',
    rotary: sameRotary(dimensions.d_head, base, scaling),
    attn_scale: Math.sqrt(dimensions.d_head),
    attn_types: readLayerTypes(name, fields, (layer) => (layer % 2 === 0 ? 'local' : 'global')),
    window_size: fields.sliding_window,
    attn_scores_soft_cap: null,
    output_logits_soft_cap: null,
    embed_scale: 1,
    tie_word_embeddings: fields.tie_word_embeddings ?? false,
  };
}

/** The experts of a layer lie in one tensor, transposed, or packed as [output, input]. */
function expertNaming(n_experts: number, isPacked: boolean): Naming {
  const naming = decoderNaming({ ln1: 'input_layernorm', ln2: 'post_attention_layernorm' });
  return {
    ...naming,
    block: (layer) => {
      const at = `model.layers.${layer}.mlp.experts`;
      const places: Record<string, Place> = { ...naming.block(layer) };
      for (let index = 0; index < n_experts; index++) {
        const stack = { index, size: n_experts };
        const form = isPacked ? ({ packing: GPT_OSS_PACKING } as const) : { isTransposed: true };
        places[expertPath(index, 'W_gate_up')] = { key: `${at}.gate_up_proj`, stack, ...form };
        places[expertPath(index, 'b_gate_up')] = { key: `${at}.gate_up_proj_bias`, stack };
        places[expertPath(index, 'W_out')] = { key: `${at}.down_proj`, stack, ...form };
        places[expertPath(index, 'b_out')] = { key: `${at}.down_proj_bias`, stack };
      }
      return places;
    },
  };
}
