/** Trainer: one step of coders on a batch: loss, gradients, parameters, and what was measured, with one reading from the device. */
import type { SparseProducts } from '../backend/backend.ts';
import * as tf from '@tensorflow/tfjs-core';
import type { Coder } from './coder.ts';
import { lossOf, type LayerBatch } from './gradients.ts';
import type { Recipe } from './recipe.ts';

export interface StepOptions {
  readonly sparse: SparseProducts;
  readonly recipe: Recipe;
  readonly learningRate: number;
  /** Counts from 1. */
  readonly step: number;
}

export interface LayerReport {
  readonly layer: number;
  /** 1 − Σ‖y − z‖² / Σ‖y − ȳ‖², of the batch. */
  readonly explained_variance: number;
  readonly l0: number;
  readonly dead_share: number;
}

export interface StepReport {
  /** Mean over coders. */
  readonly loss: number;
  readonly layers: readonly LayerReport[];
}

/** How fast the penalty of ReLU follows the number of active features, and the most that it changes at a step. */
const PENALTY_RATE = 0.05;
const STRONGEST_TURN = 0.05;
const LEAST_L0 = 0.01; // keeps the logarithm finite
const MEASURES = 5;

/** Coders that write into the same layers step together. */
export async function stepTogether(
  coders: readonly Coder[],
  batch: ReadonlyMap<number, LayerBatch>,
  { sparse, recipe, learningRate, step }: StepOptions,
): Promise<StepReport> {
  const n = batch.get(coders[0]!.layer)!.x.shape[0];
  const found = tf.tidy(() => {
    const { value, coders: of } = lossOf(sparse, recipe, coders, batch);
    for (const { coder, gradients, counts } of of) {
      for (const [parameter, gradient] of gradients)
        parameter.change(gradient, recipe.optimizer, learningRate, step);
      coder.count(counts, n);
    }
    const measures = of.flatMap(({ measures: m }) => [m.squaredError, m.variation, m.active, m.dead, m.cut]);
    return tf.stack([value, ...measures].map((one) => tf.reshape(one, [])));
  });
  const [loss, ...numbers] = await found.data<'float32'>();
  found.dispose();
  const layers = coders.map((coder, i): LayerReport => {
    const [squaredError, variation, active, dead, cut] = numbers.slice(i * MEASURES, (i + 1) * MEASURES);
    const l0 = active! / n;
    coder.numbers.n_dead = dead!;
    if (recipe.activation === 'batchtopk') coder.rememberCut(cut!);
    if (recipe.activation === 'relu') coder.numbers.penalty *= penaltyFactor(l0, recipe.l0);
    if (recipe.activation === 'jumprelu') coder.numbers.penalty += penaltyChange(l0, recipe.l0);
    return {
      layer: coder.layer,
      explained_variance: 1 - squaredError! / variation!,
      l0,
      dead_share: dead! / recipe.d_transcoder,
    };
  });
  return { loss: loss! / coders.length, layers };
}

/** JumpReLU: the multiplier of a constraint, by dual ascent. */
const DUAL_RATE = 0.02;
const MOST_OFF = 1; // at the beginning many more are active than are wanted

function penaltyChange(l0: number, wanted: number): number {
  return DUAL_RATE * Math.min(MOST_OFF, l0 / wanted - 1);
}

function penaltyFactor(l0: number, wanted: number): number {
  const turn = PENALTY_RATE * Math.log(Math.max(l0, LEAST_L0) / wanted);
  return Math.exp(Math.max(-STRONGEST_TURN, Math.min(STRONGEST_TURN, turn)));
}
