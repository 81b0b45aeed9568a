/**
 * Model, families: Gemma 3, the text models (`gemma3_text`) and the text part of the others (`gemma3`). What config.json says, with
 * the defaults of transformers' Gemma3TextConfig: published files of the larger models leave out most keys.
 */
import * as v from 'valibot';
import { jsonObject } from '../../formats/json-object.ts';
import { BLOCK_NORMS, type AttentionType } from '../block-spec.ts';
import { readFields, refuseConfig, type ConfigDocument } from '../config-file.ts';
import { asObject } from '../config-rope.ts';
import { rotaryChoice, type ScaledRopeFields } from '../config-rope-scaling.ts';
import type { TransformerConfig } from '../config.ts';
import { decoderNaming } from '../decoder-naming.ts';
import type { Family } from '../family.ts';
import { GGUF_GEMMA_NORMS, ggufNaming } from '../gguf-naming.ts';
import { USUAL_PROMPT, type PromptRule } from '../../tokenizer/bos.ts';
import type { Rotary } from '../rope.ts';
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
import { FOUR_NORMS, GEMMA_ACTIVATION, gemmaBlock } from './gemma-block.ts';

const Fields = jsonObject({
  ...DecoderFields,
  hidden_size: v.optional(DecoderFields.hidden_size, 2304),
  num_hidden_layers: v.optional(DecoderFields.num_hidden_layers, 26),
  num_attention_heads: v.optional(positiveInteger, 8),
  num_key_value_heads: v.optional(positiveInteger, 4),
  head_dim: v.optional(positiveInteger, 256),
  intermediate_size: v.optional(positiveInteger, 9216),
  vocab_size: v.optional(positiveInteger, 262_208),
  max_position_embeddings: v.optional(positiveInteger, 131_072),
  rms_norm_eps: v.optional(positive, 1e-6),
  rope_local_base_freq: nullable(positive),
  query_pre_attn_scalar: v.optional(positive, 256),
  sliding_window: v.optional(positiveInteger, 4096),
  sliding_window_pattern: nullable(positiveInteger),
  _sliding_window_pattern: nullable(positiveInteger),
  hidden_activation: nullable(v.string()),
});
type Fields = v.InferOutput<typeof Fields>;

/** Caps of Gemma 2, which the class of Gemma 3 still reads. */
const NEUTRAL = { attn_logit_softcapping: [], final_logit_softcapping: [] };

/** `<bos><start_of_turn>user\n`, which begins every prompt of the models tuned on chats. */
const CHAT_BEGINNING = [2, 105, 2364, 107];

/** As circuit-tracer: all four positions are left out. A text of a chat begins with a special token that is not BOS. */
const CHAT_PROMPT: PromptRule = {
  bos: { pass: 'unless_bos_first', attribution: 'unless_bos_first' },
  n_ignored: CHAT_BEGINNING.length,
  beginning: CHAT_BEGINNING,
};

/** Nothing but the name says that a checkpoint was tuned. */
function isInstructed(name: string): boolean {
  return name.includes('gemma-3') && name.endsWith('-it');
}

const FAMILY: Omit<Family, 'architecture'> = {
  defaultEndTokens: [1],
  naming: decoderNaming(FOUR_NORMS),
  gguf: ggufNaming(GGUF_GEMMA_NORMS),
  promptRule: (names) => (names.some(isInstructed) ? CHAT_PROMPT : USUAL_PROMPT),
};

const LOCAL_BASE = 10_000;
const GLOBAL_BASE = 1_000_000;
/** Every sixth layer sees all keys. */
const PATTERN = 6;

/** A text model alone. */
export function readGemma3Text(document: ConfigDocument, name: string): TransformerConfig {
  return readText(document, name, 'Gemma3ForCausalLM');
}

/** The text part of a model that also reads images, whose numbers stand under `text_config`. */
export function readGemma3(document: ConfigDocument, name: string): TransformerConfig {
  const text = document['text_config'];
  if (typeof text !== 'object' || text === null || Array.isArray(text))
    return refuseConfig(name, 'text_config', text, 'an object');
  return readText({ ...text }, `${name}, text_config`, 'Gemma3ForConditionalGeneration');
}

function readText(document: ConfigDocument, name: string, architecture: string): TransformerConfig {
  const fields = readFields(name, document, Fields, NEUTRAL);
  checkActivation(name, 'hidden_activation', fields.hidden_activation ?? GEMMA_ACTIVATION, [
    GEMMA_ACTIVATION,
    'gelu_new',
  ]);
  const dimensions = readDimensions(name, fields);
  const pattern = fields.sliding_window_pattern ?? fields._sliding_window_pattern ?? PATTERN;
  return {
    family: { ...FAMILY, architecture },
    ...dimensions,
    block: gemmaBlock(BLOCK_NORMS, 'head'),
    eps: fields.rms_norm_eps,
    positions: 'rotary',
    rotary: rotations(name, fields, dimensions.d_head),
    attn_scale: Math.sqrt(fields.query_pre_attn_scalar),
    attn_types: readLayerTypes(name, fields, (layer) => ((layer + 1) % pattern === 0 ? 'global' : 'local')),
    window_size: fields.sliding_window,
    attn_scores_soft_cap: null,
    output_logits_soft_cap: null,
    // Rounded to float32, whatever the type of the weights.
    embed_scale: Math.sqrt(fields.hidden_size),
    tie_word_embeddings: fields.tie_word_embeddings ?? true,
  };
}

/** Local layers have a base of their own and are never scaled. */
function rotations(name: string, fields: Fields, dim: number): Readonly<Record<AttentionType, Rotary>> {
  const byType = ofLayerTypes(name, fields.rope_parameters);
  const read = (
    rope: Omit<ScaledRopeFields, 'max_position_embeddings'>,
    kinds: readonly 'linear'[],
  ): Rotary => ({
    dim,
    ...rotaryChoice(
      name,
      { ...rope, max_position_embeddings: fields.max_position_embeddings },
      { known: [], used: [] },
      kinds,
    ),
  });
  return {
    local: read(
      {
        rope_theta: fields.rope_local_base_freq ?? LOCAL_BASE,
        rope_parameters: byType?.['sliding_attention'],
        ...(byType && { within: 'sliding_attention' }),
      },
      [],
    ),
    global: read(
      {
        rope_theta: fields.rope_theta ?? GLOBAL_BASE,
        rope_scaling: fields.rope_scaling,
        rope_parameters: byType ? byType['full_attention'] : fields.rope_parameters,
        ...(byType && { within: 'full_attention' }),
      },
      ['linear'],
    ),
  };
}

/** `rope_parameters` with one object for each type of layer; undefined where it has another form. */
function ofLayerTypes(name: string, value: unknown): Readonly<Record<string, unknown>> | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (![...LAYER_TYPES.keys()].some((type) => Object.hasOwn(value, type))) return undefined;
  for (const [type, part] of Object.entries(value)) {
    const key = `rope_parameters.${type}`;
    if (!LAYER_TYPES.has(type)) refuseConfig(name, key, part, 'nothing beside the types of layers');
    asObject(name, key, part);
  }
  return value as Readonly<Record<string, unknown>>;
}
