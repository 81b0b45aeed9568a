/** Model: one layer, from hook_resid_pre to hook_resid_post, in two halves: what the second needs may depend on the first. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../backend/backend.ts';
import { attention, type PassContext, type PastKeysValues } from './attention.ts';
import type { BlockNorm } from './block-spec.ts';
import type { BlockVectors, HeldBlock } from './held-block.ts';
import { blockHook, type OutputSite } from './hooks.ts';
import { mlp } from './mlp.ts';

/** Between attention and MLP. */
export interface AttendedBlock {
  /** The residual stream with what attention added, [pos, d_model]. */
  readonly residMid: Tensor2D;
  /** What the MLP reads, [pos, d_model]. */
  readonly mlpIn: Tensor2D;
}

/** The residual stream [pos, d_model] after one layer. */
export function block(
  residual: Tensor2D,
  weights: HeldBlock,
  layer: number,
  context: PassContext,
  past?: PastKeysValues,
): Tensor2D {
  const { residMid, mlpIn } = attentionHalf(residual, weights, layer, context, past);
  const mlpOut = mlp(mlpIn, weights, layer, context.config.block, context.hooks);
  return mlpHalf(residMid, mlpOut, weights, layer, context);
}

/** Called inside a tidy, as `mlpHalf`. */
export function attentionHalf(
  residual: Tensor2D,
  weights: HeldBlock,
  layer: number,
  context: PassContext,
  past?: PastKeysValues,
): AttendedBlock {
  const { config, hooks } = context;
  const residPre = hooks.at(blockHook(layer, 'hook_resid_pre'), residual);
  const attended = attention(normed('ln1', residPre, weights, layer, context), weights, layer, context, past);
  const attnOut = hooks.at(
    blockHook(layer, 'hook_attn_out'),
    normed('ln1_post', attended, weights, layer, context),
  );
  const sum = tf.add<Tensor2D>(residPre, attnOut);
  const isParallel = config.block.residual === 'parallel';
  const residMid = isParallel ? sum : hooks.at(blockHook(layer, 'hook_resid_mid'), sum);
  // mlp.hook_in and mlp.hook_out are the hooks of the replacement model's wrapper around the MLP.
  const mlpIn = normed('ln2', isParallel ? residPre : residMid, weights, layer, context);
  return { residMid, mlpIn: hooks.at(blockHook(layer, 'mlp.hook_in'), mlpIn) };
}

/** @param mlpOut of the MLP, before the post norm, [pos, d_model] */
export function mlpHalf(
  residMid: Tensor2D,
  mlpOut: Tensor2D,
  weights: BlockVectors,
  layer: number,
  context: PassContext,
): Tensor2D {
  const { hooks } = context;
  const output = context.output ?? 'hook_mlp_out';
  const written = (site: OutputSite, value: Tensor2D): Tensor2D => {
    const hooked = hooks.at(blockHook(layer, site), value);
    return site === output ? hooks.at(blockHook(layer, `${site}.hook_out_grad`), hooked) : hooked;
  };
  const normedOut = normed('ln2_post', written('mlp.hook_out', mlpOut), weights, layer, context);
  const added = written('hook_mlp_out', normedOut);
  return hooks.at(blockHook(layer, 'hook_resid_post'), tf.add<Tensor2D>(residMid, added));
}

/** x itself where a block has no such norm. */
function normed(
  name: BlockNorm,
  x: Tensor2D,
  weights: BlockVectors,
  layer: number,
  { hooks }: PassContext,
): Tensor2D {
  return (
    weights.norms[name]?.forward(x, hooks, {
      scale: blockHook(layer, `${name}.hook_scale`),
      normalized: blockHook(layer, `${name}.hook_normalized`),
    }) ?? x
  );
}
