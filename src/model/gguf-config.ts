/**
 * Model, GGUF: what the metadata of a file say of its model, as the config.json of its family, so that the family's reader and its
 * checks are used. Keys: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md and `gguf-py/gguf/constants.py` of llama.cpp.
 */
import { BadFileError } from '../errors.ts';
import { MetadataReader } from '../formats/gguf-metadata.ts';
import type { GgufFile } from '../formats/gguf.ts';
import { widen } from '../formats/dtype.ts';
import { nearest } from '../nearest.ts';
import type { ConfigDocument } from './config-file.ts';
import type { TransformerConfig } from './config.ts';
import { GGUF_OUTPUT, GGUF_ROPE_FREQS } from './gguf-naming.ts';
import type { Rotary } from './rope.ts';

const ARCHITECTURE = 'general.architecture';
/** Key of the document that holds the numbers of `rope_freqs.weight`. No family's config.json has it. */
const DIVISORS = 'gguf_rope_freqs';

interface Architecture {
  readonly model_type: string;
  /** What this architecture has beside the keys that all have. */
  readonly more?: (read: Keys) => ConfigDocument;
}

/** By `general.architecture`. */
const ARCHITECTURES: Readonly<Record<string, Architecture>> = {
  llama: {
    model_type: 'llama',
    more: ({ file }) => ({
      attention_bias: file.tensors.has('blk.0.attn_q.bias'),
      mlp_bias: file.tensors.has('blk.0.ffn_up.bias'),
    }),
  },
  qwen2: { model_type: 'qwen2' },
  qwen3: {
    model_type: 'qwen3',
    more: ({ file }) => ({ attention_bias: file.tensors.has('blk.0.attn_q.bias') }),
  },
  gemma2: {
    model_type: 'gemma2',
    // llama.cpp tells the 27B model, whose scale is another, by its layers.
    more: (read) => ({
      ...read.window(),
      query_pre_attn_scalar: read.attentionScalar(46),
      attn_logit_softcapping: read.number('attn_logit_softcapping'),
      final_logit_softcapping: read.number('final_logit_softcapping'),
    }),
  },
  gemma3: {
    model_type: 'gemma3_text',
    more: (read) => ({
      ...read.window(),
      query_pre_attn_scalar: read.attentionScalar(62),
      rope_local_base_freq: read.number('rope.freq_base_swa') ?? read.number('rope.local.freq_base'),
      rope_theta: read.number('rope.freq_base') ?? read.number('rope.global.freq_base'),
      final_logit_softcapping: read.number('final_logit_softcapping') ?? null,
    }),
  },
};

/** The metadata of one architecture: keys without its name in front. */
class Keys {
  readonly file: GgufFile;
  readonly metadata: MetadataReader;
  readonly prefix: string;

  constructor(file: GgufFile, prefix: string) {
    this.file = file;
    this.metadata = new MetadataReader(file);
    this.prefix = prefix;
  }

  number(key: string): number | undefined {
    return this.metadata.sameNumber(`${this.prefix}.${key}`);
  }

  text(key: string): string | undefined {
    return this.metadata.text(`${this.prefix}.${key}`);
  }

  required(key: string): number {
    return this.metadata.require(`${this.prefix}.${key}`, this.number(key));
  }

  /** Numbers of a head of queries, keys and values. */
  headSize(): number {
    const size =
      this.number('attention.key_length') ??
      this.required('embedding_length') / this.required('attention.head_count');
    for (const key of ['attention.value_length', 'rope.dimension_count']) {
      const other = this.number(key) ?? size;
      if (other !== size)
        throw this.metadata.wrong(`${this.prefix}.${key}`, `${size}, the size of a head`, other);
    }
    return size;
  }

  /** Attention scores are divided by the root of this. */
  attentionScalar(layersOfLargest: number): number {
    const scale = this.number('attention.scale');
    if (scale !== undefined) return 1 / scale ** 2;
    const isLargest = this.required('block_count') === layersOfLargest;
    return isLargest
      ? this.required('embedding_length') / this.required('attention.head_count')
      : this.headSize();
  }

  /** The window, and which layers have it, where the metadata say that. */
  window(): ConfigDocument {
    const key = `${this.prefix}.attention.sliding_window_pattern`;
    const sliding_window = this.required('attention.sliding_window');
    if (!this.metadata.has(key)) return { sliding_window };
    if (!this.metadata.isList(key))
      return { sliding_window, sliding_window_pattern: this.metadata.number(key) };
    const layer_types = this.metadata
      .booleans(key)!
      .map((isLocal) => (isLocal ? 'sliding_attention' : 'full_attention'));
    return { sliding_window, layer_types };
  }

  /** As config.json has it; null for a plain rotation. */
  scaling(): ConfigDocument | null {
    const key = 'rope.scaling.type';
    const type = this.text(key) ?? 'none';
    if (type === 'none') return null;
    if (type === 'linear') return { rope_type: type, factor: this.number('rope.scaling.factor') };
    throw this.metadata.wrong(`${this.prefix}.${key}`, '"none" or "linear"', type);
  }
}

/** The document of config.json. Throws `BadFileError` for an architecture that is not known, and for keys that are missing. */
export async function ggufConfigDocument(file: GgufFile): Promise<ConfigDocument> {
  const metadata = new MetadataReader(file);
  const name = metadata.require(ARCHITECTURE, metadata.text(ARCHITECTURE));
  if (!Object.hasOwn(ARCHITECTURES, name)) throw unknownArchitecture(file.name, name);
  const { model_type, more } = ARCHITECTURES[name]!;
  const read = new Keys(file, name);
  const tokens = 'tokenizer.ggml.tokens';
  const vocab_size = read.number('vocab_size') ?? metadata.texts(tokens)?.length;
  return {
    model_type,
    hidden_size: read.required('embedding_length'),
    num_hidden_layers: read.required('block_count'),
    num_attention_heads: read.required('attention.head_count'),
    num_key_value_heads: read.number('attention.head_count_kv') ?? read.required('attention.head_count'),
    head_dim: read.headSize(),
    intermediate_size: read.required('feed_forward_length'),
    vocab_size: metadata.require(tokens, vocab_size),
    max_position_embeddings: read.required('context_length'),
    rms_norm_eps: read.required('attention.layer_norm_rms_epsilon'),
    rope_theta: read.number('rope.freq_base'),
    rope_scaling: read.scaling(),
    tie_word_embeddings: !file.tensors.has(GGUF_OUTPUT),
    eos_token_id: endTokens(metadata),
    ...changes(read),
    ...more?.(read),
    ...(await divisors(file)),
  };
}

/** What other models of the same architecture have: the families refuse the values that change a pass. */
function changes(read: Keys): ConfigDocument {
  return {
    num_local_experts: read.number('expert_count'),
    logit_scale: read.number('logit_scale'),
    embedding_multiplier: read.number('embedding_scale'),
    residual_multiplier: read.number('residual_scale'),
    clip_qkv: read.number('attention.clamp_kqv'),
  };
}

function endTokens(metadata: MetadataReader): number[] {
  const ids = ['eos_token_id', 'eot_token_id', 'eom_token_id'].map((key) =>
    metadata.number(`tokenizer.ggml.${key}`),
  );
  return [...new Set(ids.filter((id) => id !== undefined))];
}

async function divisors(file: GgufFile): Promise<ConfigDocument> {
  const info = file.tensors.get(GGUF_ROPE_FREQS);
  if (!info) return {};
  if (info.dtype !== 'F32') {
    throw new BadFileError({
      code: 'tensor_dtype',
      message: `${file.name}: ${GGUF_ROPE_FREQS} is stored as ${info.dtype}, expected F32`,
      hint: 'Convert the model again.',
    });
  }
  return { [DIVISORS]: [...widen(await file.read(GGUF_ROPE_FREQS), 'F32')] };
}

/** What is not as in the family's own files: the keys, gains that are stored as they are multiplied, and scaled rotations. */
export function inGguf(config: TransformerConfig, document: ConfigDocument, name: string): TransformerConfig {
  const { family, block } = config;
  if (!family.gguf) throw new Error(`${family.architecture} has no names of tensors in GGUF files`);
  return {
    ...config,
    family: { ...family, naming: family.gguf },
    block: block.norm.kind === 'rms' ? { ...block, norm: { kind: 'rms', gainOffset: 0 } } : block,
    rotary: config.rotary && withDivisors(config.rotary, document[DIVISORS], name),
  };
}

function withDivisors(
  rotary: NonNullable<TransformerConfig['rotary']>,
  found: unknown,
  name: string,
): TransformerConfig['rotary'] {
  if (found === undefined) return rotary;
  const list = found as readonly number[];
  const apply = ({ scaling, ...rest }: Rotary): Rotary => {
    const isFit =
      list.length === rest.dim / 2 && list.every((divisor) => Number.isFinite(divisor) && divisor > 0);
    if (scaling === null && isFit) return { ...rest, scaling: { kind: 'divisors', divisors: list } };
    throw new BadFileError({
      code: 'gguf_metadata',
      message: isFit
        ? `${name}: rope.scaling.type is ${scaling!.kind}, and there is ${GGUF_ROPE_FREQS} too; expected one of them`
        : `${name}: ${GGUF_ROPE_FREQS} has ${list.length} numbers, expected ${rest.dim / 2} positive ones`,
      hint: 'Convert the model again.',
    });
  };
  return { local: apply(rotary.local), global: apply(rotary.global) };
}

function unknownArchitecture(file: string, name: string): BadFileError {
  const known = Object.keys(ARCHITECTURES);
  const near = nearest(name, known);
  return new BadFileError({
    code: 'unknown_family',
    message: `${file}: ${ARCHITECTURE} is ${JSON.stringify(name)}; known are ${known.map((each) => `"${each}"`).join(', ')}`,
    hint: near
      ? `Did the author mean "${near}"?`
      : 'Of other families, name the checkpoint in safetensors (docs/families.md).',
  });
}
