/** Model: the MLP of a layer. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../backend/backend.ts';
import type { HookPoints } from './activation-cache.ts';
import { activate } from './activation-functions.ts';
import type { HeldBlock } from './held-block.ts';
import type { BlockSpec } from './block-spec.ts';
import { blockHook } from './hooks.ts';
import { project } from './project.ts';

/** Output [pos, d_model] of the MLP of a layer, before the post norm, of normalised inputs x [pos, d_model]. */
export function mlp(
  x: Tensor2D,
  weights: HeldBlock,
  layer: number,
  spec: BlockSpec,
  hooks: HookPoints,
): Tensor2D {
  const isGated = spec.mlp === 'gated';
  const pre = hooks.at(blockHook(layer, 'mlp.hook_pre'), project(x, weights, isGated ? 'W_gate' : 'W_in'));
  let post = (): Tensor2D => activate(spec.act_fn, pre);
  if (isGated) {
    const linear = hooks.at(blockHook(layer, 'mlp.hook_pre_linear'), project(x, weights, 'W_in'));
    post = () => tf.mul<Tensor2D>(activate(spec.act_fn, pre), linear);
  }
  return project(hooks.at(blockHook(layer, 'mlp.hook_post'), post()), weights, 'W_out'); // [pos, d_mlp] before it
}
