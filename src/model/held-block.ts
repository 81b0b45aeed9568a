/** Model: the parameters of a block in the form that its code uses. */
import type { HeldWeight, Tensor1D } from '../backend/backend.ts';
import type { BlockMatrix, BlockNorm } from './block-spec.ts';
import type { Norm } from './norm.ts';

/** What of a block's parameters is not a matrix. */
export interface BlockVectors {
  readonly norms: Readonly<Partial<Record<BlockNorm, Norm>>>;
  /** Of queries and keys, before rotation. */
  readonly qkNorms: { readonly q: Norm; readonly k: Norm } | null;
  /** By matrix; that of W_V is part of that of W_O, since patterns sum to one. */
  readonly biases: Readonly<Partial<Record<BlockMatrix, Tensor1D>>>;
}

/** Parameters of a block, ready to be used. */
export interface HeldBlock extends BlockVectors {
  readonly matrices: Readonly<Partial<Record<BlockMatrix, HeldWeight>>>;
}
