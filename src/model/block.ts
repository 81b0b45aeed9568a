/** Model: one layer, from hook_resid_pre to hook_resid_post. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../backend/backend.ts';
import { attention, type PassContext, type PastKeysValues } from './attention.ts';
import type { BlockNorm } from './block-spec.ts';
import type { HeldBlock } from './held-block.ts';
import { blockHook, type OutputSite } from './hooks.ts';
import { mlp } from './mlp.ts';

/** The residual stream [pos, d_model] after one layer. */
export function block(
  residual: Tensor2D,
  weights: HeldBlock,
  layer: number,
  context: PassContext,
  past?: PastKeysValues,
): Tensor2D {
  const { config, hooks } = context;
  const norm = (name: BlockNorm, x: Tensor2D): Tensor2D =>
    weights.norms[name]?.forward(x, hooks, {
      scale: blockHook(layer, `${name}.hook_scale`),
      normalized: blockHook(layer, `${name}.hook_normalized`),
    }) ?? x;
  const residPre = hooks.at(blockHook(layer, 'hook_resid_pre'), residual);
  const attended = attention(norm('ln1', residPre), weights, layer, context, past);
  const attnOut = hooks.at(blockHook(layer, 'hook_attn_out'), norm('ln1_post', attended));
  const sum = tf.add<Tensor2D>(residPre, attnOut);
  const isParallel = config.block.residual === 'parallel';
  const residMid = isParallel ? sum : hooks.at(blockHook(layer, 'hook_resid_mid'), sum);

  // mlp.hook_in and mlp.hook_out are the hooks of the replacement model's wrapper around the MLP.
  const mlpIn = hooks.at(blockHook(layer, 'mlp.hook_in'), norm('ln2', isParallel ? residPre : residMid));
  const output = context.output ?? 'hook_mlp_out';
  const written = (site: OutputSite, value: Tensor2D): Tensor2D => {
    const hooked = hooks.at(blockHook(layer, site), value);
    return site === output ? hooks.at(blockHook(layer, `${site}.hook_out_grad`), hooked) : hooked;
  };
  const mlpRaw = written('mlp.hook_out', mlp(mlpIn, weights, layer, config.block, hooks));
  const mlpOut = written('hook_mlp_out', norm('ln2_post', mlpRaw));
  return hooks.at(blockHook(layer, 'hook_resid_post'), tf.add<Tensor2D>(residMid, mlpOut));
}
