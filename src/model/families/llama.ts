/**
 * Model, families: Llama and those built like it (Qwen 2, Qwen 3, Mistral, OLMo 2): two RMS norms a block, a gated MLP with SiLU,
 * rotary positions. What their config.json says, with the defaults of their classes in transformers.
 */
import * as v from 'valibot';
import { jsonObject } from '../../formats/json-object.ts';
import {
  BLOCK_NORMS,
  type AttentionType,
  type BlockMatrix,
  type BlockNorm,
  type BlockSpec,
} from '../block-spec.ts';
import { readFields, refuseConfig, type ConfigDocument } from '../config-file.ts';
import { rotaryChoice } from '../config-rope-scaling.ts';
import type { TransformerConfig } from '../config.ts';
import { decoderNaming } from '../decoder-naming.ts';
import { ggufNaming } from '../gguf-naming.ts';
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

const Fields = jsonObject({
  ...DecoderFields,
  rms_norm_eps: nullable(positive),
  attention_bias: nullable(v.boolean()),
  mlp_bias: nullable(v.boolean()),
  use_sliding_window: nullable(v.boolean()),
  max_window_layers: nullable(v.pipe(v.number(), v.integer(), v.minValue(0))),
});
type Fields = v.InferOutput<typeof Fields>;

/** What members of this kind differ in. */
interface Member {
  readonly architecture: string;
  /** `model_type`, and the defaults of its configuration class. */
  readonly model_type: string;
  readonly eps: number;
  /** `head_dim` where the file does not name it; otherwise hidden_size / heads. */
  readonly d_head?: number;
  readonly endTokens: readonly number[];
  readonly qkNorm: BlockSpec['qkNorm'];
  /** The module of each norm. */
  readonly norms: Readonly<Partial<Record<BlockNorm, string>>>;
  /** How GGUF files have the rows of queries and keys; undefined: not read from one. */
  readonly gguf?: 'halves' | 'interleaved';
  biased(fields: Fields): readonly BlockMatrix[];
  /** Keys of biases that its class does not read: they have to be false. */
  readonly unread: readonly ('attention_bias' | 'mlp_bias')[];
  /** The keys that a query sees, and of which layers; null: all. */
  window(fields: Fields): { readonly size: number; typeOf(layer: number): AttentionType } | null;
}

const QUERY_KEY_VALUE: readonly BlockMatrix[] = ['W_Q', 'W_K', 'W_V'];
const ATTENTION: readonly BlockMatrix[] = [...QUERY_KEY_VALUE, 'W_O'];
const MLP: readonly BlockMatrix[] = ['W_gate', 'W_in', 'W_out'];

/** Qwen's window counts only when it is switched on, for the layers behind the first `max_window_layers`. */
function qwenWindow({
  use_sliding_window,
  sliding_window,
  max_window_layers,
}: Fields): ReturnType<Member['window']> {
  if (!use_sliding_window || !sliding_window) return null;
  const first = max_window_layers ?? DEFAULT_WINDOW_LAYERS;
  return { size: sliding_window, typeOf: (layer) => (layer >= first ? 'local' : 'global') };
}
const DEFAULT_WINDOW_LAYERS = 28;

const BEFORE = { ln1: 'input_layernorm', ln2: 'post_attention_layernorm' } as const;
const GGUF_NORMS = { ln1: 'attn_norm', ln2: 'ffn_norm' } as const;
const AFTER = { ln1_post: 'post_attention_layernorm', ln2_post: 'post_feedforward_layernorm' } as const;

const MEMBERS: readonly Member[] = [
  {
    architecture: 'Olmo2ForCausalLM',
    model_type: 'olmo2',
    eps: 1e-5,
    endTokens: [],
    qkNorm: 'all',
    norms: AFTER,
    biased: ({ attention_bias }) => (attention_bias ? ATTENTION : []),
    unread: ['mlp_bias'],
    window: () => null,
  },
  {
    architecture: 'LlamaForCausalLM',
    model_type: 'llama',
    gguf: 'interleaved',
    eps: 1e-6,
    endTokens: [2],
    qkNorm: 'none',
    norms: BEFORE,
    biased: ({ attention_bias, mlp_bias }) => [
      ...(attention_bias ? ATTENTION : []),
      ...(mlp_bias ? MLP : []),
    ],
    unread: [],
    window: () => null,
  },
  {
    architecture: 'Qwen2ForCausalLM',
    model_type: 'qwen2',
    gguf: 'halves',
    eps: 1e-6,
    endTokens: [],
    qkNorm: 'none',
    norms: BEFORE,
    biased: () => QUERY_KEY_VALUE, // whatever attention_bias says
    unread: ['mlp_bias'],
    window: qwenWindow,
  },
  {
    architecture: 'Qwen3ForCausalLM',
    model_type: 'qwen3',
    gguf: 'halves',
    eps: 1e-6,
    d_head: 128,
    endTokens: [],
    qkNorm: 'head',
    norms: BEFORE,
    biased: ({ attention_bias }) => (attention_bias ? ATTENTION : []),
    unread: ['mlp_bias'],
    window: qwenWindow,
  },
  {
    architecture: 'MistralForCausalLM',
    model_type: 'mistral',
    eps: 1e-6,
    endTokens: [2],
    qkNorm: 'none',
    norms: BEFORE,
    biased: () => [],
    unread: ['attention_bias', 'mlp_bias'],
    window: ({ sliding_window }) => (sliding_window ? { size: sliding_window, typeOf: () => 'local' } : null),
  },
];

const DEFAULT_BASE = 10_000;
/** The classes of all members take them from one table. */
const SCALINGS = ['linear', 'llama3', 'yarn'] as const;

/** Readers by `model_type`. */
export const LLAMA_LIKE: readonly (readonly [
  model_type: string,
  read: (document: ConfigDocument, name: string) => TransformerConfig,
])[] = MEMBERS.map((member) => [member.model_type, (document, name) => readMember(member, document, name)]);

function readMember(member: Member, document: ConfigDocument, name: string): TransformerConfig {
  const fields = readFields(name, document, Fields);
  checkActivation(name, 'hidden_act', fields.hidden_act ?? 'silu', ['silu', 'swish']);
  for (const key of member.unread) {
    if (fields[key]) refuseConfig(name, key, true, `false or null: ${member.model_type} has no such biases`);
  }
  // Written as null, it is hidden_size / heads.
  const { head_dim = member.d_head } = fields;
  const dimensions = readDimensions(name, { ...fields, head_dim });
  const window = member.window(fields);
  const attn_types = readLayerTypes(name, fields, (layer) => window?.typeOf(layer) ?? 'global');
  const { base, scaling } = rotaryChoice(
    name,
    { ...fields, rope_theta: fields.rope_theta ?? DEFAULT_BASE },
    { known: [...LAYER_TYPES.keys()], used: [...LAYER_TYPES.keys()] },
    SCALINGS,
  );
  return {
    family: {
      architecture: member.architecture,
      defaultEndTokens: member.endTokens,
      naming: decoderNaming(member.norms),
      ...(member.gguf && {
        gguf: ggufNaming(GGUF_NORMS, member.gguf === 'interleaved' ? dimensions.d_head : null),
      }),
    },
    ...dimensions,
    block: {
      norm: { kind: 'rms', gainOffset: 0 },
      norms: BLOCK_NORMS.filter((norm) => norm in member.norms),
      residual: 'sequential',
      biased: member.biased(fields),
      qkNorm: member.qkNorm,
      mlp: 'gated',
      act_fn: 'silu',
    },
    eps: fields.rms_norm_eps ?? member.eps,
    positions: 'rotary',
    rotary: sameRotary(dimensions.d_head, base, scaling),
    attn_scale: Math.sqrt(dimensions.d_head),
    attn_types,
    window_size: window?.size ?? null,
    attn_scores_soft_cap: null,
    output_logits_soft_cap: null,
    embed_scale: 1,
    tie_word_embeddings: fields.tie_word_embeddings ?? false,
  };
}
