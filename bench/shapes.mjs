/** Benchmark: the widths of Gemma-2-2B, which every synthetic checkpoint has; only the number of layers differs. */
export const SHAPE = {
  d_model: 2304,
  d_mlp: 9216,
  n_heads: 8,
  n_kv_heads: 4,
  d_head: 256,
  d_vocab: 256000,
  d_transcoder: 16384,
  /** Active features a position and layer that the thresholds aim at. */
  n_active: 64,
};

/** Numbers in the matrices of one block. */
export function blockNumbers({ d_model, d_mlp, n_heads, n_kv_heads, d_head } = SHAPE) {
  return d_model * (2 * n_heads * d_head + 2 * n_kv_heads * d_head + 3 * d_mlp);
}
