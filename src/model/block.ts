/** Model: one layer, from hook_resid_pre to hook_resid_post. */
import * as tf from '@tensorflow/tfjs-core';
import type { HeldWeight, Tensor1D, Tensor2D } from '../backend/backend.ts';
import { attention, type PassContext, type PastKeysValues } from './attention.ts';
import { blockHook, type BlockNorm } from './hooks.ts';
import { gatedMlp } from './mlp.ts';
import { rmsNorm } from './norm.ts';
import type { BlockGain, BlockMatrix } from './weight-names.ts';

/** Parameters of a block, ready to be used. Gains include the family's offset. */
export type HeldBlock = Readonly<Record<BlockMatrix, HeldWeight> & Record<BlockGain, Tensor1D>>;

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
    rmsNorm(weights[name], config.eps).forward(x, hooks, {
      scale: blockHook(layer, `${name}.hook_scale`),
      normalized: blockHook(layer, `${name}.hook_normalized`),
    });
  const residPre = hooks.at(blockHook(layer, 'hook_resid_pre'), residual);
  const attended = attention(norm('ln1', residPre), weights, layer, context, past);
  const attnOut = hooks.at(blockHook(layer, 'hook_attn_out'), norm('ln1_post', attended));
  const residMid = hooks.at(blockHook(layer, 'hook_resid_mid'), tf.add<Tensor2D>(residPre, attnOut));

  // mlp.hook_in and mlp.hook_out are the hooks of the replacement model's wrapper around the MLP.
  const mlpIn = hooks.at(blockHook(layer, 'mlp.hook_in'), norm('ln2', residMid));
  const mlpRaw = hooks.at(blockHook(layer, 'mlp.hook_out'), gatedMlp(mlpIn, weights, layer, hooks));
  const mlpOut = hooks.at(blockHook(layer, 'hook_mlp_out'), norm('ln2_post', mlpRaw));
  const written = hooks.at(blockHook(layer, 'hook_mlp_out.hook_out_grad'), mlpOut);
  return hooks.at(blockHook(layer, 'hook_resid_post'), tf.add<Tensor2D>(residMid, written));
}
