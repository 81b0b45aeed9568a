/** Model: the parameters of a block in the form that its code uses. */
import type { HeldWeight, Tensor1D, Weight } from '../backend/backend.ts';
import type { ATTENTION_MATRICES, BlockMatrix, BlockNorm } from './block-spec.ts';
import type { Norm } from './norm.ts';

/** Parameters of an expert. */
export interface Expert {
  /** Gate and linear part in turn, [2 · d_mlp, d_model]. */
  readonly W_gate_up: Weight;
  /** [d_model, d_mlp] */
  readonly W_out: Weight;
  readonly b_gate_up: Tensor1D;
  readonly b_out: Tensor1D;
}

/** What of a block's parameters is not one of its matrices. */
export interface BlockVectors {
  readonly norms: Readonly<Partial<Record<BlockNorm, Norm>>>;
  /** Of queries and keys, before rotation. */
  readonly qkNorms: { readonly q: Norm; readonly k: Norm } | null;
  /** Scores of the column that is dropped, [n_heads]; null without. */
  readonly sinks: Tensor1D | null;
  /** By matrix; where patterns sum to one, that of W_V is part of that of W_O. */
  readonly biases: Readonly<Partial<Record<BlockMatrix, Tensor1D>>>;
  /** Bias of W_V where it is part of that of W_O, [n_kv_heads · d_head]; null where there is none, or `biases` has it. */
  readonly foldedValueBias: Tensor1D | null;
  /** Of an MLP of experts; their matrices are acquired one by one, where they are chosen. */
  readonly experts: readonly Expert[] | null;
}

/** Those of attention are always there. */
export type BlockMatrices = Readonly<
  Record<(typeof ATTENTION_MATRICES)[number], Weight> & Partial<Record<BlockMatrix, Weight>>
>;

/** Parameters of a block as they are stored; `withMatrices` makes the matrices usable. */
export interface BlockWeights extends BlockVectors {
  readonly matrices: BlockMatrices;
}

/** Parameters of a block, ready to be used. */
export interface HeldBlock extends BlockVectors {
  readonly matrices: Readonly<Partial<Record<BlockMatrix, HeldWeight>>>;
}

/** Some matrices of a block for the duration of a step. */
export async function withMatrices<T>(
  stored: BlockWeights,
  names: readonly BlockMatrix[],
  step: (held: HeldBlock) => T,
): Promise<T> {
  const acquired: HeldWeight[] = [];
  try {
    const matrices: Partial<Record<BlockMatrix, HeldWeight>> = {};
    for (const name of names) {
      const held = await stored.matrices[name]!.acquire();
      matrices[name] = held;
      acquired.push(held);
    }
    return step({ ...stored, matrices });
  } finally {
    for (const weight of acquired) weight[Symbol.dispose]();
  }
}
