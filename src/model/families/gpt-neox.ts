/** Model, family: GPT-NeoX (Pythia): layer norms, parallel blocks, a part of each head rotated, queries, keys and values in one matrix. */
import * as v from 'valibot';
import { jsonObject } from '../../formats/json-object.ts';
import { matricesOf } from '../block-spec.ts';
import { readFields, refuseConfig, type ConfigDocument } from '../config-file.ts';
import { plainRotaryBase } from '../config-rope.ts';
import type { TransformerConfig } from '../config.ts';
import { biasPath, matrixPath } from '../parameters.ts';
import type { Naming, Part, Place } from '../naming.ts';
import { sameRotary } from '../rope.ts';
import { checkActivation, DecoderFields, LAYER_TYPES, nullable, positive } from './decoder-fields.ts';

const Fields = jsonObject({
  hidden_size: DecoderFields.hidden_size,
  num_hidden_layers: DecoderFields.num_hidden_layers,
  num_attention_heads: DecoderFields.num_attention_heads,
  intermediate_size: DecoderFields.intermediate_size,
  vocab_size: DecoderFields.vocab_size,
  max_position_embeddings: DecoderFields.max_position_embeddings,
  layer_norm_eps: nullable(positive),
  hidden_act: nullable(v.string()),
  rotary_pct: nullable(positive),
  partial_rotary_factor: nullable(positive),
  rotary_emb_base: nullable(positive),
  rope_theta: nullable(positive),
  rope_scaling: v.optional(v.unknown()),
  rope_parameters: v.optional(v.unknown()),
  use_parallel_residual: nullable(v.boolean()),
  attention_bias: nullable(v.boolean()),
  tie_word_embeddings: nullable(v.boolean()),
});
type Fields = v.InferOutput<typeof Fields>;

/** `model_type` of config.json. */
export const GPT_NEOX = 'gpt_neox';

const ACTIVATIONS = {
  gelu: 'gelu',
  gelu_new: 'gelu_pytorch_tanh',
  gelu_pytorch_tanh: 'gelu_pytorch_tanh',
  relu: 'relu',
} as const;
const DEFAULT_EPS = 1e-5;
const DEFAULT_BASE = 10_000;
const DEFAULT_ROTATED = 0.25;

export function readGptNeox(document: ConfigDocument, name: string): TransformerConfig {
  const fields = readFields(name, document, Fields);
  const activation = fields.hidden_act ?? 'gelu';
  checkActivation(name, 'hidden_act', activation, Object.keys(ACTIVATIONS));
  const { hidden_size: d_model, num_attention_heads: n_heads } = fields;
  if (d_model % n_heads !== 0)
    refuseConfig(name, 'num_attention_heads', n_heads, `a divisor of hidden_size = ${d_model}`);
  const d_head = d_model / n_heads;
  const hasBias = fields.attention_bias ?? true;
  return {
    family: { architecture: 'GPTNeoXForCausalLM', defaultEndTokens: [0], naming: neoxNaming(d_head) },
    n_layers: fields.num_hidden_layers,
    d_model,
    n_heads,
    n_kv_heads: n_heads,
    d_head,
    d_mlp: fields.intermediate_size,
    d_vocab: fields.vocab_size,
    n_ctx: fields.max_position_embeddings,
    block: {
      norm: { kind: 'layer' },
      norms: ['ln1', 'ln2'],
      residual: (fields.use_parallel_residual ?? true) ? 'parallel' : 'sequential',
      biased: matricesOf({ mlp: 'plain' }).filter((each) => each === 'W_in' || each === 'W_out' || hasBias),
      qkNorm: 'none',
      mlp: 'plain',
      act_fn: ACTIVATIONS[activation as keyof typeof ACTIVATIONS],
    },
    eps: fields.layer_norm_eps ?? DEFAULT_EPS,
    positions: 'rotary',
    rotary: sameRotary(rotatedEntries(name, fields, d_head), rotaryBase(name, fields)),
    attn_scale: Math.sqrt(d_head),
    attn_types: Array.from({ length: fields.num_hidden_layers }, () => 'global' as const),
    window_size: null,
    attn_scores_soft_cap: null,
    output_logits_soft_cap: null,
    embed_scale: 1,
    tie_word_embeddings: fields.tie_word_embeddings ?? false,
  };
}

/** The first entries of a head; in the form of transformers 5, the share stands in `rope_parameters`. */
function rotatedEntries(name: string, fields: Fields, d_head: number): number {
  const inObject = (fields.rope_parameters as { partial_rotary_factor?: unknown } | null | undefined)
    ?.partial_rotary_factor;
  const share = inObject ?? fields.partial_rotary_factor ?? fields.rotary_pct ?? DEFAULT_ROTATED;
  if (typeof share !== 'number' || !(share > 0) || share > 1)
    return refuseConfig(name, 'rotary_pct', share, 'a number above 0 and up to 1');
  const dim = Math.floor(share * d_head); // transformers cuts
  if (dim % 2 !== 0 || dim === 0)
    refuseConfig(name, 'rotary_pct', share, `an even number of the ${d_head} entries of a head`);
  return dim;
}

function rotaryBase(name: string, fields: Fields): number {
  const { rope_parameters: given } = fields;
  const isObject = typeof given === 'object' && given !== null && !Array.isArray(given);
  const rope_parameters = isObject ? { ...given, partial_rotary_factor: null } : given;
  const rope_theta = fields.rotary_emb_base ?? fields.rope_theta ?? DEFAULT_BASE;
  return plainRotaryBase(
    name,
    { ...fields, rope_parameters, rope_theta },
    { known: [...LAYER_TYPES.keys()], used: [...LAYER_TYPES.keys()] },
  );
}

/** Rows of query_key_value are grouped by head, then queries, keys, values. */
function neoxNaming(d_head: number): Naming {
  const ofHeads = (index: number): Part => ({
    axis: 0,
    offset: index * d_head,
    length: d_head,
    stride: 3 * d_head,
  });
  return {
    prefix: 'gpt_neox.',
    model: {
      'embed.W_E': { key: 'gpt_neox.embed_in.weight' },
      'ln_final.w': { key: 'gpt_neox.final_layer_norm.weight' },
      'ln_final.b': { key: 'gpt_neox.final_layer_norm.bias' },
      'unembed.W_U': { key: 'embed_out.weight' },
    },
    block: (layer) => {
      const at = `gpt_neox.layers.${layer}`;
      const places: Record<string, Place> = {};
      for (const [norm, module] of [
        ['ln1', 'input_layernorm'],
        ['ln2', 'post_attention_layernorm'],
      ] as const) {
        places[`${norm}.w`] = { key: `${at}.${module}.weight` };
        places[`${norm}.b`] = { key: `${at}.${module}.bias` };
      }
      for (const [index, name] of (['W_Q', 'W_K', 'W_V'] as const).entries()) {
        places[matrixPath(name)] = { key: `${at}.attention.query_key_value.weight`, part: ofHeads(index) };
        places[biasPath(name)] = { key: `${at}.attention.query_key_value.bias`, part: ofHeads(index) };
      }
      const modules = {
        W_O: 'attention.dense',
        W_in: 'mlp.dense_h_to_4h',
        W_out: 'mlp.dense_4h_to_h',
      } as const;
      for (const [name, module] of Object.entries(modules) as [keyof typeof modules, string][]) {
        places[matrixPath(name)] = { key: `${at}.${module}.weight` };
        places[biasPath(name)] = { key: `${at}.${module}.bias` };
      }
      return places;
    },
  };
}
