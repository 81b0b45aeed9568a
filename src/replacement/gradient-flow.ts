/**
 * Replacement: where gradients start, where they stop and what is constant, as one table. With the stops in place the
 * model is linear in the residual stream; the configuration summary prints this table, attribution follows it backwards.
 */
import type { TransformerConfig } from '../model/config.ts';
import { blockHook, type BlockSite, type HookName } from '../model/hooks.ts';

export interface GradientFlow {
  /** The first value that has a gradient; everything before it is constant, all parameters included. */
  readonly enabledAt: readonly HookName[];
  /** Values that keep what the forward pass gave them: attention patterns and the divisors of all norms. */
  readonly stoppedAt: readonly HookName[];
  /**
   * What features write to. Its value is constant too, except for what a skip connection adds: the MLP is described by
   * features, so no gradient passes through it.
   */
  readonly constantExceptSkipAt: readonly HookName[];
}

/** The table for a model whose features write to `feature_output_hook`. */
export function gradientFlow(config: TransformerConfig, feature_output_hook: BlockSite): GradientFlow {
  const layers = Array.from({ length: config.n_layers }, (_, layer) => layer);
  // Norms of queries and keys only shape patterns, which are constant.
  const stopped: readonly BlockSite[] = [
    'attn.hook_pattern',
    ...config.block.norms.map((norm): BlockSite => `${norm}.hook_scale`),
  ];
  return {
    enabledAt: ['hook_embed'],
    stoppedAt: [
      ...layers.flatMap((layer) => stopped.map((site) => blockHook(layer, site))),
      'ln_final.hook_scale',
    ],
    constantExceptSkipAt: layers.map((layer) => blockHook(layer, feature_output_hook)),
  };
}
