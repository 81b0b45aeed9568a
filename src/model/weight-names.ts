/** Model: the parameters of a transformer in TransformerLens' terms, and what a family's checkpoints call them. */

/** Matrix parameters of a block, stored as [output, input]: multiplied as x · Wᵀ. */
export const BLOCK_MATRICES = ['W_Q', 'W_K', 'W_V', 'W_O', 'W_gate', 'W_in', 'W_out'] as const;
export type BlockMatrix = (typeof BLOCK_MATRICES)[number];

/** Norm gains of a block. */
export const BLOCK_GAINS = ['ln1', 'ln1_post', 'ln2', 'ln2_post'] as const;
export type BlockGain = (typeof BLOCK_GAINS)[number];

/** Keys of a checkpoint, by parameter. */
export interface WeightNames {
  /** What all keys but that of W_U begin with. */
  readonly prefix: string;
  readonly W_E: string;
  /** Used when the embedding is not tied. */
  readonly W_U: string;
  readonly ln_final: string;
  readonly block: (layer: number) => Readonly<Record<BlockMatrix | BlockGain, string>>;
}
