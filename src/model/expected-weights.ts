/** Model: the parameters that a configuration calls for, with their keys in a checkpoint and their shapes. */
import type { TransformerConfig } from './config.ts';
import type { BlockGain, BlockMatrix, WeightNames } from './weight-names.ts';

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
export function expectedWeights(
  config: TransformerConfig,
  names: WeightNames = config.family.weights,
): ExpectedWeight[] {
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
