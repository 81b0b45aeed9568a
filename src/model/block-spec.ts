/**
 * Model: what a block consists of. A family describes its blocks once; the forward pass, hooks, parameters, the table of
 * gradient stops, the linear model and training follow the description and know no family.
 */
import type { ActivationName } from './activation-functions.ts';

/** Norms of a block, in the order of a pass: before and after attention, before and after the MLP. */
export const BLOCK_NORMS = ['ln1', 'ln1_post', 'ln2', 'ln2_post'] as const;
export type BlockNorm = (typeof BLOCK_NORMS)[number];

export type NormKind =
  /** x / sqrt(mean(x²) + eps) · (w + gainOffset) */
  | { readonly kind: 'rms'; readonly gainOffset: 0 | 1 }
  /** (x − mean(x)) / sqrt(var(x) + eps) · w + b */
  | { readonly kind: 'layer' };

/** Matrices of a block, [output, input]: multiplied as x · Wᵀ. */
export const BLOCK_MATRICES = ['W_Q', 'W_K', 'W_V', 'W_O', 'W_gate', 'W_in', 'W_out'] as const;
export type BlockMatrix = (typeof BLOCK_MATRICES)[number];

/** Whether the queries of a layer see a window of keys, or all. */
export type AttentionType = 'local' | 'global';

export interface BlockSpec {
  /** Of all norms, the final one included. */
  readonly norm: NormKind;
  /** Those that exist. */
  readonly norms: readonly BlockNorm[];
  /** Parallel: attention and MLP both read hook_resid_pre, and there is no hook_resid_mid. */
  readonly residual: 'sequential' | 'parallel';
  /** Matrices with a bias. */
  readonly biased: readonly BlockMatrix[];
  /** RMS norm of queries and keys before rotation: of each head, with one gain for all heads; or of all heads together. */
  readonly qkNorm: 'none' | 'head' | 'all';
  /** Gated: act(x · W_gateᵀ) · (x · W_inᵀ); plain: act(x · W_inᵀ). */
  readonly mlp: 'gated' | 'plain';
  readonly act_fn: ActivationName;
}

/** The matrices that a block has. */
export function matricesOf({ mlp }: Pick<BlockSpec, 'mlp'>): readonly BlockMatrix[] {
  return mlp === 'gated' ? BLOCK_MATRICES : BLOCK_MATRICES.filter((name) => name !== 'W_gate');
}

/** Whether the frozen model adds constants: its effects are then differences to the pass of zero sources. */
export function isAffine({ norm, biased }: BlockSpec): boolean {
  return norm.kind === 'layer' || biased.length > 0;
}

/** Where the divisors of a block's norms stand, those of queries and keys included. */
export function divisorSites({ norms, qkNorm }: BlockSpec): DivisorSite[] {
  return [
    ...norms.map((norm): DivisorSite => `${norm}.hook_scale`),
    ...(qkNorm === 'none' ? [] : (['attn.q_norm.hook_scale', 'attn.k_norm.hook_scale'] as const)),
  ];
}

type DivisorSite = `${BlockNorm | 'attn.q_norm' | 'attn.k_norm'}.hook_scale`;
