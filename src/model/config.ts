/** Model: the configuration that a forward pass needs, read and checked once from config.json. */
import type { AttentionType, BlockSpec } from './block-spec.ts';
import type { Family } from './family.ts';
import type { Rotary } from './rope.ts';

/** Dimensions and constants of a transformer, in TransformerLens' terms. */
export interface TransformerConfig {
  readonly family: Family;
  readonly n_layers: number;
  readonly d_model: number;
  readonly n_heads: number;
  readonly n_kv_heads: number;
  readonly d_head: number;
  readonly d_mlp: number;
  readonly d_vocab: number;
  /** Longest prompt, in tokens. */
  readonly n_ctx: number;
  readonly block: BlockSpec;
  readonly eps: number;
  /** How positions enter: by rotating queries and keys, or as vectors added to the embedding. */
  readonly positions: 'rotary' | 'learned';
  /** By attention type; null without rotation. */
  readonly rotary: Readonly<Record<AttentionType, Rotary>> | null;
  /** Attention scores are divided by this, the square root of d_head in most families. */
  readonly attn_scale: number;
  /** One entry a layer. */
  readonly attn_types: readonly AttentionType[];
  /** A query of a local layer sees this many keys, its own included; null: all of them. */
  readonly window_size: number | null;
  readonly attn_scores_soft_cap: number | null;
  readonly output_logits_soft_cap: number | null;
  /** Token embeddings are multiplied by this when they enter the residual stream. */
  readonly embed_scale: number;
  readonly tie_word_embeddings: boolean;
}
