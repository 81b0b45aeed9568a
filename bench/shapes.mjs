/** Benchmark: the widths of the models that synthetic checkpoints imitate; the number of layers may be another. */
export const SHAPES = {
  'gemma-2-2b': {
    n_layers: 26,
    d_model: 2304,
    d_mlp: 9216,
    n_heads: 8,
    n_kv_heads: 4,
    d_head: 256,
    d_vocab: 256000,
    d_transcoder: 16384,
    /** Active features a position and layer that thresholds and biases aim at. */
    n_active: 64,
  },
  'llama-3.2-1b': {
    n_layers: 16,
    d_model: 2048,
    d_mlp: 8192,
    n_heads: 32,
    n_kv_heads: 8,
    d_head: 64,
    d_vocab: 128256,
    d_transcoder: 131072,
    n_active: 64,
  },
};

/** The one that is measured where none is named. */
export const SHAPE = SHAPES['gemma-2-2b'];

/** Numbers in the matrices of one block. */
export function blockNumbers({ d_model, d_mlp, n_heads, n_kv_heads, d_head } = SHAPE) {
  return d_model * (2 * n_heads * d_head + 2 * n_kv_heads * d_head + 3 * d_mlp);
}
