/** Model: a mixture of experts as the MLP of a layer. */
import * as tf from '@tensorflow/tfjs-core';
import type { HeldWeight, Tensor, Tensor2D } from '../backend/backend.ts';
import type { HookPoints } from './activation-cache.ts';
import type { ExpertsSpec } from './block-spec.ts';
import type { Expert, HeldBlock } from './held-block.ts';
import { blockHook } from './hooks.ts';
import { project } from './project.ts';

/** Where an expert is chosen, and how much of it is taken there. */
export interface Choice {
  readonly positions: Int32Array;
  readonly shares: Float32Array;
}

/** How much of each expert a position takes, [pos, n_experts]; zero where it is not chosen. Called inside a tidy. */
export function routed(
  x: Tensor2D,
  weights: HeldBlock,
  layer: number,
  { n_experts, n_experts_per_token }: ExpertsSpec,
  hooks: HookPoints,
): Tensor2D {
  const logits = hooks.at(blockHook(layer, 'mlp.hook_router_logits'), project(x, weights, 'W_router'));
  const { values, indices } = tf.topk(logits, n_experts_per_token);
  const shares = tf.expandDims(tf.softmax(values, -1), 2); // [pos, n_experts_per_token, 1]
  const places = atPositions(tf.cast(indices, 'int32'), n_experts);
  return hooks.at(blockHook(layer, 'mlp.hook_expert_weights'), tf.sum<Tensor2D>(tf.mul(places, shares), 1));
}

/**
 * The sum of what the chosen experts make of x [pos, d_model], each of its own positions alone: [pos, d_model]. Experts are used
 * one after the other, so that no more than one is in memory where they are streamed; those not chosen are not read.
 * @param weights as `routed` gives them
 */
export async function mixture(
  x: Tensor2D,
  weights: Tensor2D,
  experts: readonly Expert[],
  spec: ExpertsSpec,
): Promise<Tensor2D> {
  const choices = choicesOf(await weights.data<'float32'>(), spec.n_experts);
  let sum = tf.zeros<tf.Rank.R2>(x.shape);
  try {
    for (const [expert, choice] of choices) {
      const { W_gate_up, W_out, ...biases } = experts[expert]!;
      using gateUp = await W_gate_up.acquire();
      using out = await W_out.acquire();
      const added = tf.tidy(() => tf.add<Tensor2D>(sum, part(x, { gateUp, out, ...biases }, choice, spec)));
      sum.dispose();
      sum = added;
    }
    return sum;
  } catch (error) {
    sum.dispose();
    throw error;
  }
}

/** By expert, without those that are not chosen. @param weights [pos · n_experts] */
function choicesOf(weights: Float32Array, n_experts: number): Map<number, Choice> {
  const choices = new Map<number, Choice>();
  for (let expert = 0; expert < n_experts; expert++) {
    const positions: number[] = [];
    for (let at = expert; at < weights.length; at += n_experts) {
      if (weights[at] !== 0) positions.push((at - expert) / n_experts);
    }
    if (positions.length === 0) continue;
    const shares = Float32Array.from(positions, (position) => weights[position * n_experts + expert]!);
    choices.set(expert, { positions: Int32Array.from(positions), shares });
  }
  return choices;
}

interface HeldExpert extends Pick<Expert, 'b_gate_up' | 'b_out'> {
  readonly gateUp: HeldWeight;
  readonly out: HeldWeight;
}

/** What one expert adds to x [pos, d_model]; zero at positions that did not choose it. */
function part(x: Tensor2D, expert: HeldExpert, choice: Choice, { limit, slope }: ExpertsSpec): Tensor2D {
  const positions = tf.tensor1d(choice.positions, 'int32');
  const n = choice.positions.length;
  const pre = tf.add(expert.gateUp.matMul(tf.gather(x, positions), { transpose: true }), expert.b_gate_up);
  const halves = tf.unstack(tf.reshape<tf.Rank.R3>(pre, [n, -1, 2]), 2) as [Tensor2D, Tensor2D];
  const gate = tf.minimum<Tensor2D>(halves[0], limit);
  const linear = tf.add<Tensor2D>(tf.clipByValue(halves[1], -limit, limit), 1);
  const post = tf.mul<Tensor2D>(tf.mul(gate, tf.sigmoid(tf.mul(gate, slope))), linear); // [n, d_mlp]
  const own = tf.add(expert.out.matMul(post, { transpose: true }), expert.b_out);
  // One entry a row: the product puts each row, times its share, at its position.
  const shares = tf.mul(atPositions(positions, x.shape[0]), tf.tensor2d(choice.shares, [n, 1]));
  return tf.matMul(shares, own, true);
}

/** 1 where an index stands, in a new last axis of length n. `tf.oneHot` refuses a length of one. */
function atPositions(indices: Tensor, n: number): Tensor {
  const places = tf.equal(tf.expandDims(indices, -1), tf.range(0, n, 1, 'int32'));
  return tf.cast(places, 'float32');
}
