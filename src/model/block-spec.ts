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

/** Matrices of a block, [output, input]: multiplied as x · Wᵀ. Those of experts are not among them. */
export const BLOCK_MATRICES = ['W_Q', 'W_K', 'W_V', 'W_O', 'W_router', 'W_gate', 'W_in', 'W_out'] as const;
export type BlockMatrix = (typeof BLOCK_MATRICES)[number];

export const ATTENTION_MATRICES = ['W_Q', 'W_K', 'W_V', 'W_O'] as const satisfies readonly BlockMatrix[];

/** Matrices of each kind of MLP. */
const MLP_MATRICES = {
  gated: ['W_gate', 'W_in', 'W_out'],
  plain: ['W_in', 'W_out'],
  experts: ['W_router'],
} as const satisfies Readonly<Record<string, readonly BlockMatrix[]>>;

/**
 * A mixture of experts. Of r = x · W_routerᵀ + b the largest n_experts_per_token choose experts, whose weights are the softmax over
 * these alone. An expert of d_mlp computes (min(gate, limit) · σ(slope · min(gate, limit)) · (clamp(lin, ±limit) + 1)) · W_outᵀ + b, where
 * x · W_gate_upᵀ + b has gate and lin in turn.
 */
export interface ExpertsSpec {
  readonly n_experts: number;
  readonly n_experts_per_token: number;
  readonly limit: number;
  readonly slope: number;
}

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
  /** The softmax of a head runs over one more column, a parameter of the head, which is then dropped. */
  readonly sinks?: boolean;
  /** Gated: act(x · W_gateᵀ) · (x · W_inᵀ); plain: act(x · W_inᵀ). */
  readonly mlp: keyof typeof MLP_MATRICES;
  /** Of an MLP of experts. */
  readonly experts?: ExpertsSpec;
  readonly act_fn: ActivationName;
}

/** The matrices that a block has. */
export function matricesOf(spec: Pick<BlockSpec, 'mlp'>): readonly BlockMatrix[] {
  return [...ATTENTION_MATRICES, ...mlpMatricesOf(spec)];
}

export function mlpMatricesOf({ mlp }: Pick<BlockSpec, 'mlp'>): readonly BlockMatrix[] {
  return MLP_MATRICES[mlp];
}

/** Whether the frozen model adds constants: its effects are then differences to the pass of zero sources. */
export function isAffine({ norm, biased }: BlockSpec): boolean {
  return norm.kind === 'layer' || biased.length > 0; // biases of experts belong to the MLP, which is constant
}

/** Where the divisors of a block's norms stand, those of queries and keys included. */
export function divisorSites({ norms, qkNorm }: BlockSpec): DivisorSite[] {
  return [
    ...norms.map((norm): DivisorSite => `${norm}.hook_scale`),
    ...(qkNorm === 'none' ? [] : (['attn.q_norm.hook_scale', 'attn.k_norm.hook_scale'] as const)),
  ];
}

type DivisorSite = `${BlockNorm | 'attn.q_norm' | 'attn.k_norm'}.hook_scale`;
