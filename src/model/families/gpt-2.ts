/** Model, family: GPT-2: layer norms, learned positions, a plain MLP, biases everywhere, queries, keys and values in one matrix. */
import * as v from 'valibot';
import { jsonObject } from '../../formats/json-object.ts';
import { matricesOf, type BlockSpec } from '../block-spec.ts';
import { readFields, refuseConfig, type ConfigDocument } from '../config-file.ts';
import type { TransformerConfig } from '../config.ts';
import { biasPath, matrixPath } from '../parameters.ts';
import type { Naming, Part, Place } from '../naming.ts';
import { checkActivation, MOST_LAYERS, nullable, positive, positiveInteger } from './decoder-fields.ts';

const Fields = jsonObject({
  n_embd: positiveInteger,
  n_layer: v.pipe(positiveInteger, v.maxValue(MOST_LAYERS)),
  n_head: positiveInteger,
  n_positions: positiveInteger,
  n_inner: nullable(positiveInteger),
  vocab_size: positiveInteger,
  layer_norm_epsilon: nullable(positive),
  activation_function: nullable(v.string()),
  tie_word_embeddings: nullable(v.boolean()),
});

/** Keys of attention variants of GPT-2's class that are off in published checkpoints. */
const NEUTRAL = {
  scale_attn_weights: [true],
  scale_attn_by_inverse_layer_idx: [false],
  add_cross_attention: [false],
};

/** `model_type` of config.json. */
export const GPT_2 = 'gpt2';

const ACTIVATIONS = {
  gelu_new: 'gelu_pytorch_tanh',
  gelu_pytorch_tanh: 'gelu_pytorch_tanh',
  gelu: 'gelu',
  relu: 'relu',
  silu: 'silu',
} as const;
const DEFAULT_EPS = 1e-5;
const MLP_FACTOR = 4;
/** `<|endoftext|>` */
const END_TOKEN = 50_256;

export function readGpt2(document: ConfigDocument, name: string): TransformerConfig {
  const fields = readFields(name, document, Fields, NEUTRAL);
  const activation = fields.activation_function ?? 'gelu_new';
  checkActivation(name, 'activation_function', activation, Object.keys(ACTIVATIONS));
  const { n_embd: d_model, n_head: n_heads } = fields;
  if (d_model % n_heads !== 0) refuseConfig(name, 'n_head', n_heads, `a divisor of n_embd = ${d_model}`);
  const block: BlockSpec = {
    norm: { kind: 'layer' },
    norms: ['ln1', 'ln2'],
    residual: 'sequential',
    biased: matricesOf({ mlp: 'plain' }),
    qkNorm: 'none',
    mlp: 'plain',
    act_fn: ACTIVATIONS[activation as keyof typeof ACTIVATIONS],
  };
  return {
    family: {
      architecture: 'GPT2LMHeadModel',
      defaultEndTokens: [END_TOKEN],
      naming: gpt2Naming(d_model),
    },
    n_layers: fields.n_layer,
    d_model,
    n_heads,
    n_kv_heads: n_heads,
    d_head: d_model / n_heads,
    d_mlp: fields.n_inner ?? MLP_FACTOR * d_model,
    d_vocab: fields.vocab_size,
    n_ctx: fields.n_positions,
    block,
    eps: fields.layer_norm_epsilon ?? DEFAULT_EPS,
    positions: 'learned',
    rotary: null,
    attn_scale: Math.sqrt(d_model / n_heads),
    attn_types: Array.from({ length: fields.n_layer }, () => 'global' as const),
    window_size: null,
    attn_scores_soft_cap: null,
    output_logits_soft_cap: null,
    embed_scale: 1,
    tie_word_embeddings: fields.tie_word_embeddings ?? true,
  };
}

/** Matrices are stored [input, output]; c_attn has the columns of queries, keys and values side by side. */
function gpt2Naming(d_model: number): Naming {
  const third = (index: number, axis: 0 | 1): Part => ({
    axis,
    offset: index * d_model,
    length: d_model,
    stride: 3 * d_model,
  });
  return {
    prefix: 'transformer.',
    model: {
      'embed.W_E': { key: 'transformer.wte.weight' },
      'pos_embed.W_pos': { key: 'transformer.wpe.weight' },
      'ln_final.w': { key: 'transformer.ln_f.weight' },
      'ln_final.b': { key: 'transformer.ln_f.bias' },
      'unembed.W_U': { key: 'lm_head.weight' },
    },
    block: (layer) => {
      const at = `transformer.h.${layer}`;
      const places: Record<string, Place> = {};
      for (const [norm, module] of [
        ['ln1', 'ln_1'],
        ['ln2', 'ln_2'],
      ] as const) {
        places[`${norm}.w`] = { key: `${at}.${module}.weight` };
        places[`${norm}.b`] = { key: `${at}.${module}.bias` };
      }
      for (const [index, name] of (['W_Q', 'W_K', 'W_V'] as const).entries()) {
        places[matrixPath(name)] = {
          key: `${at}.attn.c_attn.weight`,
          isTransposed: true,
          part: third(index, 1),
        };
        places[biasPath(name)] = { key: `${at}.attn.c_attn.bias`, part: third(index, 0) };
      }
      for (const [name, module] of [
        ['W_O', 'attn.c_proj'],
        ['W_in', 'mlp.c_fc'],
        ['W_out', 'mlp.c_proj'],
      ] as const) {
        places[matrixPath(name)] = { key: `${at}.${module}.weight`, isTransposed: true };
        places[biasPath(name)] = { key: `${at}.${module}.bias` };
      }
      return places;
    },
  };
}
