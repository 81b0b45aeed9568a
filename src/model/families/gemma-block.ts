/** Model, families: what the generations of Gemma have in common: gains 1 + w and a gated MLP with the tanh form of GELU. */
import type { BlockNorm, BlockSpec } from '../block-spec.ts';

/** Other names of the same activation are read by the families. */
export const GEMMA_ACTIVATION = 'gelu_pytorch_tanh';

/** The modules of the norms of Gemma 2 and 3. */
export const FOUR_NORMS = {
  ln1: 'input_layernorm',
  ln1_post: 'post_attention_layernorm',
  ln2: 'pre_feedforward_layernorm',
  ln2_post: 'post_feedforward_layernorm',
} as const;

export function gemmaBlock(norms: readonly BlockNorm[], qkNorm: BlockSpec['qkNorm']): BlockSpec {
  return {
    norm: { kind: 'rms', gainOffset: 1 },
    norms,
    residual: 'sequential',
    biased: [],
    qkNorm,
    mlp: 'gated',
    act_fn: GEMMA_ACTIVATION,
  };
}
