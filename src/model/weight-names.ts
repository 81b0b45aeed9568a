/** Model: from parameters, in TransformerLens' terms, to the keys and shapes of a checkpoint. One table a family. */
import type { TransformerConfig } from './config.ts';

/** Matrix parameters of a block, stored as [output, input]: multiplied as x · Wᵀ. */
export const BLOCK_MATRICES = ['W_Q', 'W_K', 'W_V', 'W_O', 'W_gate', 'W_in', 'W_out'] as const;
export type BlockMatrix = (typeof BLOCK_MATRICES)[number];

/** Norm gains of a block. */
export const BLOCK_GAINS = ['ln1', 'ln1_post', 'ln2', 'ln2_post'] as const;
export type BlockGain = (typeof BLOCK_GAINS)[number];

export interface WeightNames {
  readonly W_E: string;
  /** Used when the embedding is not tied. */
  readonly W_U: string;
  readonly ln_final: string;
  readonly block: (layer: number) => Readonly<Record<BlockMatrix | BlockGain, string>>;
}

/** Hugging Face's keys of Gemma 2. */
export const GEMMA_2_NAMES: WeightNames = {
  W_E: 'model.embed_tokens.weight',
  W_U: 'lm_head.weight',
  ln_final: 'model.norm.weight',
  block: (layer) => {
    const at = `model.layers.${layer}`;
    return {
      ln1: `${at}.input_layernorm.weight`,
      W_Q: `${at}.self_attn.q_proj.weight`,
      W_K: `${at}.self_attn.k_proj.weight`,
      W_V: `${at}.self_attn.v_proj.weight`,
      W_O: `${at}.self_attn.o_proj.weight`,
      ln1_post: `${at}.post_attention_layernorm.weight`,
      ln2: `${at}.pre_feedforward_layernorm.weight`,
      W_gate: `${at}.mlp.gate_proj.weight`,
      W_in: `${at}.mlp.up_proj.weight`,
      W_out: `${at}.mlp.down_proj.weight`,
      ln2_post: `${at}.post_feedforward_layernorm.weight`,
    };
  },
};

/** One parameter that a configuration calls for. */
export interface ExpectedWeight {
  /** In TransformerLens' terms, such as `blocks.3.attn.W_Q`. */
  readonly parameter: string;
  /** Key in the checkpoint. */
  readonly key: string;
  readonly shape: readonly number[];
  /** The layer it belongs to; undefined for the embedding and the final norm. */
  readonly layer?: number;
}

/** Where TransformerLens puts a parameter of a block. */
const PARAMETER_PATHS: Readonly<Record<BlockMatrix | BlockGain, string>> = {
  ln1: 'ln1.w',
  W_Q: 'attn.W_Q',
  W_K: 'attn.W_K',
  W_V: 'attn.W_V',
  W_O: 'attn.W_O',
  ln1_post: 'ln1_post.w',
  ln2: 'ln2.w',
  W_gate: 'mlp.W_gate',
  W_in: 'mlp.W_in',
  W_out: 'mlp.W_out',
  ln2_post: 'ln2_post.w',
};

/** Shapes of a block's parameters as stored: matrices [output, input]. */
export function blockShapes(config: TransformerConfig): Record<BlockMatrix | BlockGain, readonly number[]> {
  const { d_model, d_mlp, d_head, n_heads, n_kv_heads } = config;
  return {
    ln1: [d_model],
    W_Q: [n_heads * d_head, d_model],
    W_K: [n_kv_heads * d_head, d_model],
    W_V: [n_kv_heads * d_head, d_model],
    W_O: [d_model, n_heads * d_head],
    ln1_post: [d_model],
    ln2: [d_model],
    W_gate: [d_mlp, d_model],
    W_in: [d_mlp, d_model],
    W_out: [d_model, d_mlp],
    ln2_post: [d_model],
  };
}

/** All parameters that a configuration calls for, in the order of a pass. */
export function expectedWeights(config: TransformerConfig): ExpectedWeight[] {
  const names = config.family.weights;
  const shapes = blockShapes(config);
  const embedding = [config.d_vocab, config.d_model];
  const list: ExpectedWeight[] = [{ parameter: 'embed.W_E', key: names.W_E, shape: embedding }];
  for (let layer = 0; layer < config.n_layers; layer++) {
    for (const [name, key] of Object.entries(names.block(layer)) as [BlockMatrix | BlockGain, string][]) {
      list.push({ parameter: `blocks.${layer}.${PARAMETER_PATHS[name]}`, key, shape: shapes[name], layer });
    }
  }
  list.push({ parameter: 'ln_final.w', key: names.ln_final, shape: [config.d_model] });
  if (!config.tie_word_embeddings) list.push({ parameter: 'unembed.W_U', key: names.W_U, shape: embedding });
  return list;
}
