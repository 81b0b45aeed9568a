/** Descriptions of blocks for tests that need no checkpoint. */
import { BLOCK_NORMS, type BlockSpec } from '../../src/model/block-spec.ts';

/** As in Gemma 2. */
export const FOUR_NORM_BLOCK: BlockSpec = {
  norm: { kind: 'rms', gainOffset: 1 },
  norms: BLOCK_NORMS,
  residual: 'sequential',
  biased: [],
  qkNorm: 'none',
  mlp: 'gated',
  act_fn: 'gelu_pytorch_tanh',
};
