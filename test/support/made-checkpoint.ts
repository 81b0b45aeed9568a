/** Gemma-2 checkpoints of any shape, filled with reproducible numbers and written as Hugging Face writes them. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { narrowToBfloat16 } from '../../src/formats/dtype.ts';
import type { ReferenceConfig, ReferenceWeights } from './gemma2-reference.ts';

export type StoredAs = 'F32' | 'F16' | 'BF16';

/** Standard normal numbers that are the same every time (Box and Muller over Numerical Recipes' generator). */
function normals(seed: number): () => number {
  let state = seed >>> 0;
  const uniform = (): number => ((state = (Math.imul(state, 1664525) + 1013904223) >>> 0) + 0.5) / 2 ** 32;
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}

/** The nearest float16, ties to even, as its bits and as a number. Values here are far below its largest one. */
function nearestFloat16(value: number): { bits: number; value: number } {
  const size = Math.abs(value);
  const exponent = size === 0 ? -14 : Math.max(-14, Math.floor(Math.log2(size)));
  const step = 2 ** (exponent - 10);
  const steps = size / step;
  const down = Math.floor(steps);
  const rest = steps - down;
  const count = rest > 0.5 || (rest === 0.5 && down % 2 === 1) ? down + 1 : down;
  // Counted in steps, float16 is consecutive: 2^11 steps roll over into the next exponent by themselves.
  const bits = (exponent + 14) * 1024 + count + (value < 0 ? 0x8000 : 0);
  return { bits, value: Math.sign(value) * count * step };
}

/** Stored bytes, and the numbers that they stand for. */
export function store(values: readonly number[], dtype: StoredAs): { bytes: Uint8Array; values: number[] } {
  switch (dtype) {
    case 'F32': {
      const stored = Float32Array.from(values);
      return { bytes: new Uint8Array(stored.buffer), values: Array.from(stored) };
    }
    case 'F16': {
      const nearest = values.map(nearestFloat16);
      const stored = Uint16Array.from(nearest, ({ bits }) => bits);
      return { bytes: new Uint8Array(stored.buffer), values: nearest.map(({ value }) => value) };
    }
    case 'BF16': {
      const stored = narrowToBfloat16(Float32Array.from(values));
      const widened = new Float32Array(Uint32Array.from(stored, (bits) => bits << 16).buffer);
      return { bytes: new Uint8Array(stored.buffer), values: Array.from(widened) };
    }
  }
}

/** Keys and shapes of all parameters, in an order that is not the product's. */
function parametersOf(config: ReferenceConfig): [string, number[]][] {
  const {
    hidden_size: d,
    intermediate_size: m,
    head_dim,
    num_attention_heads: H,
    num_key_value_heads: K,
  } = config;
  const layer: [string, number[]][] = [
    ['mlp.up_proj', [m, d]],
    ['mlp.gate_proj', [m, d]],
    ['mlp.down_proj', [d, m]],
    ['self_attn.q_proj', [H * head_dim, d]],
    ['self_attn.k_proj', [K * head_dim, d]],
    ['self_attn.v_proj', [K * head_dim, d]],
    ['self_attn.o_proj', [d, H * head_dim]],
    ['input_layernorm', [d]],
    ['post_attention_layernorm', [d]],
    ['pre_feedforward_layernorm', [d]],
    ['post_feedforward_layernorm', [d]],
  ];
  const layers = Array.from({ length: config.num_hidden_layers }, (_, i) =>
    layer.map(([name, shape]): [string, number[]] => [`model.layers.${i}.${name}.weight`, shape]),
  );
  return [
    ['model.norm.weight', [d]],
    ...layers.flat(),
    ['model.embed_tokens.weight', [config.vocab_size, d]],
    ...((config.tie_word_embeddings ?? true)
      ? []
      : [['lm_head.weight', [config.vocab_size, d]] as [string, number[]]]),
  ];
}

export interface MadeCheckpoint {
  /** What a reader has to see: the numbers after their rounding to the type they are stored in. */
  readonly weights: ReferenceWeights;
}

export interface CheckpointOptions {
  readonly dtype: StoredAs;
  readonly seed: number;
  /** Given instead of made, by key. */
  readonly values?: ReadonlyMap<string, readonly number[]>;
}

/** Writes config.json and model.safetensors. The numbers begin at an odd place of the file, which the format allows. */
export function makeCheckpoint(
  folder: string,
  config: ReferenceConfig,
  { dtype, seed, values = new Map() }: CheckpointOptions,
): MadeCheckpoint {
  const next = normals(seed);
  const weights = new Map<string, readonly number[]>();
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  const pieces: Uint8Array[] = [];
  let at = 0;
  for (const [key, shape] of parametersOf(config)) {
    const size = shape.reduce((a, b) => a * b, 1);
    // Matrices keep the size of what they multiply, gains are near 1, scores are large enough to need their cap.
    const scale = shape.length === 1 ? 0.2 : 1 / Math.sqrt(shape[1]!);
    const stored = store(values.get(key) ?? Array.from({ length: size }, () => next() * scale), dtype);
    weights.set(key, stored.values);
    header[key] = { dtype, shape, data_offsets: [at, (at += stored.bytes.byteLength)] };
    pieces.push(stored.bytes);
  }
  let text = JSON.stringify(header);
  if (text.length % 2 === 0) text += ' ';
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'model.safetensors'), Buffer.concat([length, Buffer.from(text), ...pieces]));
  const rest = { architectures: ['Gemma2ForCausalLM'], model_type: 'gemma2', max_position_embeddings: 64 };
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...rest, ...config }));
  return { weights };
}
