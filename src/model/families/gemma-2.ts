/** Model, family: Gemma 2. What its config.json says, with the defaults of Hugging Face's Gemma2Config, and its keys. */
import * as v from 'valibot';
import { BLOCK_NORMS, type AttentionType } from '../block-spec.ts';
import { jsonObject } from '../../formats/json-object.ts';
import { readFields, refuseConfig, type ConfigDocument } from '../config-file.ts';
import { plainRotaryBase } from '../config-rope.ts';
import type { TransformerConfig } from '../config.ts';
import { decoderNaming } from '../decoder-naming.ts';
import type { Family } from '../family.ts';
import { GGUF_GEMMA_NORMS, ggufNaming } from '../gguf-naming.ts';
import { USUAL_PROMPT } from '../../tokenizer/bos.ts';
import { sameRotary } from '../rope.ts';
import {
  DecoderFields,
  LAYER_TYPES,
  nullable,
  positive,
  positiveInteger,
  readDimensions,
  readLayerTypes,
} from './decoder-fields.ts';
import { FOUR_NORMS, GEMMA_ACTIVATION, gemmaBlock } from './gemma-block.ts';

/** In its old form (no `layer_types`, `hidden_act`) and its new one (`rope_parameters`). */
const Fields = jsonObject({
  ...DecoderFields,
  num_key_value_heads: positiveInteger,
  head_dim: positiveInteger,
  rms_norm_eps: v.optional(positive, 1e-6),
  rope_theta: v.optional(positive, 10_000),
  query_pre_attn_scalar: positive,
  sliding_window: v.optional(v.nullable(positiveInteger), 4096),
  sliding_window_size: nullable(positiveInteger),
  sliding_window_pattern: nullable(positiveInteger),
  attn_logit_softcapping: v.optional(v.nullable(positive), 50),
  final_logit_softcapping: v.optional(v.nullable(positive), 30),
  hidden_activation: nullable(v.string()),
  tie_word_embeddings: v.optional(v.boolean(), true),
});
type Fields = v.InferOutput<typeof Fields>;

const FAMILY: Family = {
  architecture: 'Gemma2ForCausalLM',
  defaultEndTokens: [1],
  naming: decoderNaming(FOUR_NORMS),
  // As in TransformerLens, where passes go through the template of the tokenizer's files and attribution does not.
  promptRule: () => ({
    ...USUAL_PROMPT,
    bos: { pass: 'always', attribution: 'unless_special_first' },
  }),
  gguf: ggufNaming(GGUF_GEMMA_NORMS),
};

/** `model_type` of config.json. */
export const GEMMA_2 = 'gemma2';

/** The configuration of a checkpoint. Throws `BadFileError` for what is not computed, naming the key and its value. */
export function readGemma2(document: ConfigDocument, name: string): TransformerConfig {
  const fields = readFields(name, document, Fields);
  checkActivation(name, fields);
  const dimensions = readDimensions(name, fields);
  const attn_types = attentionTypes(name, fields);
  const { sliding_window, sliding_window_size } = fields;
  // The name of the first releases: it may repeat the window.
  if ((sliding_window_size ?? sliding_window) !== sliding_window)
    refuseConfig(name, 'sliding_window_size', sliding_window_size, `${sliding_window} as sliding_window`);
  return {
    family: FAMILY,
    ...dimensions,
    block: gemmaBlock(BLOCK_NORMS, 'none'),
    eps: fields.rms_norm_eps,
    positions: 'rotary',
    rotary: sameRotary(
      dimensions.d_head,
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
const ACTIVATIONS = [GEMMA_ACTIVATION, 'gelu_new'];
const OLD_ACTIVATIONS = [...ACTIVATIONS, 'gelu'];

function checkActivation(name: string, { hidden_activation, hidden_act }: Fields): void {
  const [key, found, known] = hidden_activation
    ? (['hidden_activation', hidden_activation, ACTIVATIONS] as const)
    : (['hidden_act', hidden_act ?? GEMMA_ACTIVATION, OLD_ACTIVATIONS] as const);
  if (!known.includes(found)) refuseConfig(name, key, found, `"${GEMMA_ACTIVATION}" for ${GEMMA_2}`);
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
