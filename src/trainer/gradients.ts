/**
 * Trainer: the loss of coders that write into the same layers, and its gradients, written out. Values are normalised: the mean
 * of outputs is 0 and that of their squares 1 in each dimension, so that the loss is about the share that is not explained.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { SparseProducts, Tensor, Tensor1D, Tensor2D } from '../backend/backend.ts';
import { backward, choose, countActive, decode, type Choice, type ChoiceGradients } from './choice.ts';
import type { Coder } from './coder.ts';
import type { DeviceParameter } from './optimizer.ts';
import type { Recipe } from './recipe.ts';

/** Normalised inputs and outputs of a layer, [n, d_model]. */
export interface LayerBatch {
  readonly x: Tensor2D;
  readonly y: Tensor2D;
}

/** Of one coder. Tensors are scalars. */
export interface CoderMeasures {
  /** Σ‖y − z‖² of its own layer, and Σ‖y − ȳ‖². */
  readonly squaredError: Tensor;
  readonly variation: Tensor;
  /** Active features, of all tokens. */
  readonly active: Tensor;
  readonly dead: Tensor;
  /** The smallest activation that BatchTopK chose; 0 for others. */
  readonly cut: Tensor;
}

export interface CoderGradients {
  readonly coder: Coder;
  readonly gradients: ReadonlyMap<DeviceParameter, Tensor>;
  readonly counts: Tensor1D;
  readonly measures: CoderMeasures;
}

export interface Loss {
  /** With its penalties and auxiliary parts. */
  readonly value: tf.Scalar;
  readonly coders: readonly CoderGradients[];
}

/** Weight of the penalty (L0 / wanted − 1)² of JumpReLU, beside which a linear one is steered until L0 is what is wanted. */
const L0_WEIGHT = 1;
/** Width of the rectangle that stands for the derivative of JumpReLU's step (Rajamanoharan et al. 2024). Inputs have length √d. */
export const BANDWIDTH = 0.25;
const NEVER = -1e30;

/** Called inside a tidy. `batch` has each layer that a coder reads or writes. */
export function lossOf(
  sparse: SparseProducts,
  recipe: Recipe,
  coders: readonly Coder[],
  batch: ReadonlyMap<number, LayerBatch>,
): Loss {
  const steps = coders.map((coder) => {
    const { x } = batch.get(coder.layer)!;
    const pre = coder.preActivations(x);
    return { coder, x, pre, choice: choose(sparse, pre, recipe, coder.threshold()) };
  });
  const written = writtenBy(
    sparse,
    steps.map(({ coder, x, choice }) => ({ coder, x, choice })),
  );
  const parts: Tensor[] = [];
  const errors = new Map<number, Tensor2D>();
  for (const { coder } of steps) {
    const { y } = batch.get(coder.layer)!;
    const error = tf.sub<Tensor2D>(written.get(coder.layer)!, y);
    errors.set(coder.layer, error);
    parts.push(tf.div(tf.sum(tf.square(error)), y.size));
  }
  const found = steps.map(({ coder, x, pre, choice }): CoderGradients => {
    const ofLayers = Array.from({ length: coder.n_written }, (_, i) => errors.get(coder.layer + i)!);
    const error: Tensor2D = ofLayers.length === 1 ? ofLayers[0]! : tf.concat(ofLayers, 1);
    const own = errors.get(coder.layer)!;
    const scale = 2 / own.size;
    const penalty = penaltyOf(recipe, coder, choice, pre);
    if (penalty) parts.push(penalty.value);
    const back = backward(sparse, choice, {
      x,
      g: tf.mul(error, scale),
      W_dec: coder.W_dec.value,
      added: penalty?.ofActivations ?? null,
    });
    const auxiliary = auxiliaryOf(sparse, recipe, coder, { x, pre, error, scale });
    if (auxiliary) parts.push(auxiliary.value);
    const counts = countActive(choice, recipe.d_transcoder);
    const g = tf.mul(own, scale);
    const gradients = new Map<DeviceParameter, Tensor>([
      ...matrixGradients(coder, back, auxiliary?.gradients),
      [coder.b_dec, tf.sum(g, 0)],
    ]);
    if (coder.W_skip) gradients.set(coder.W_skip, tf.matMul(g, x, true, false));
    if (coder.logThreshold) {
      gradients.set(coder.logThreshold, thresholdGradient(coder, pre, back, penalty!.ofL0!));
    }
    const { y } = batch.get(coder.layer)!;
    return {
      coder,
      gradients,
      counts,
      measures: {
        squaredError: tf.sum(tf.square(own)),
        variation: tf.sum(tf.square(tf.sub(y, tf.mean(y, 0, true)))),
        active: tf.sum(counts),
        dead: tf.sum(tf.cast(isDead(recipe, coder), 'float32')),
        cut: choice.form === 'sparse' && choice.cut ? choice.cut : tf.scalar(0),
      },
    };
  });
  return { value: tf.addN(parts as tf.Scalar[]), coders: found };
}

/** What coders, biases and skips write into each layer, [n, d_model]. */
export function writtenBy(
  sparse: SparseProducts,
  steps: readonly { readonly coder: Coder; readonly x: Tensor2D; readonly choice: Choice }[],
): Map<number, Tensor2D> {
  const sums = new Map<number, Tensor2D>();
  const add = (layer: number, value: Tensor2D): void => {
    const sum = sums.get(layer);
    sums.set(layer, sum ? tf.add<Tensor2D>(sum, value) : value);
  };
  for (const { coder, x, choice } of steps) {
    const { d_model, n_written, layer, W_dec, b_dec, W_skip } = coder;
    const all = decode(sparse, choice, W_dec.value);
    for (let i = 0; i < n_written; i++) {
      add(layer + i, n_written === 1 ? all : tf.slice(all, [0, i * d_model], [-1, d_model]));
    }
    const bias = tf.reshape<tf.Rank.R2>(b_dec.value, [1, d_model]);
    add(layer, W_skip ? tf.add<Tensor2D>(tf.matMul(x, W_skip.value, false, true), bias) : bias);
  }
  return sums;
}

interface Penalty {
  readonly value: Tensor;
  /** To the gradient of every active feature's activation; null: none. */
  readonly ofActivations: Tensor | null;
  /** Derivative by the mean number of active features. */
  readonly ofL0: Tensor | null;
}

function penaltyOf(recipe: Recipe, coder: Coder, choice: Choice, pre: Tensor2D): Penalty | null {
  if (choice.form !== 'dense') return null;
  const n = pre.shape[0];
  if (recipe.activation === 'relu') {
    const factor = coder.numbers.penalty / n;
    return { value: tf.mul(tf.sum(choice.values), factor), ofActivations: tf.scalar(factor), ofL0: null };
  }
  const off = tf.sub(tf.div(tf.sum(choice.isActive), n * recipe.l0), 1);
  const { penalty } = coder.numbers;
  return {
    value: tf.add(tf.mul(tf.square(off), L0_WEIGHT), tf.mul(off, penalty)),
    ofActivations: null,
    ofL0: tf.mul(tf.add(tf.mul(off, 2 * L0_WEIGHT), penalty), 1 / recipe.l0),
  };
}

/** Straight-through estimate: a step of height h at the threshold θ has the derivative −h/ε where |pre − θ| < ε/2. */
function thresholdGradient(coder: Coder, pre: Tensor2D, back: ChoiceGradients, ofL0: Tensor): Tensor {
  const threshold = coder.threshold()!;
  const isNear = tf.cast(tf.less(tf.abs(tf.sub(pre, threshold)), BANDWIDTH / 2), 'float32');
  // Crossing it changes the activation by θ, and the mean number of active features by 1 / n.
  const heights = tf.add(tf.mul(back.activations, threshold), tf.div(ofL0, pre.shape[0]));
  const byThreshold = tf.mul(tf.sum(tf.mul(heights, isNear), 0), -1 / BANDWIDTH);
  return tf.mul(byThreshold, threshold); // by its logarithm
}

export function isDead({ deadAfterTokens }: Recipe, coder: Coder): Tensor1D {
  return tf.greaterEqual(coder.idle, deadAfterTokens);
}

interface Auxiliary {
  readonly value: Tensor;
  readonly gradients: ChoiceGradients;
}

/** Dead features with the largest pre-activations, on what the others leave unexplained, which counts as a constant. */
function auxiliaryOf(
  sparse: SparseProducts,
  recipe: Recipe,
  coder: Coder,
  { x, pre, error, scale }: { x: Tensor2D; pre: Tensor2D; error: Tensor2D; scale: number },
): Auxiliary | null {
  const { n_dead } = coder.numbers;
  if (n_dead === 0 || recipe.auxiliaryWeight === 0) return null;
  const ofDead = tf.where(tf.expandDims(isDead(recipe, coder), 0), pre, tf.fill([1, 1], NEVER));
  const { values, indices } = sparse.largest(ofDead, Math.min(recipe.k, n_dead));
  const isActive = tf.cast(tf.greater<Tensor2D>(values, 0), 'float32');
  const choice: Choice = {
    form: 'sparse',
    values: tf.mul(values, isActive),
    indices,
    isActive,
    cut: null,
  };
  // error is what is written less what is wanted: their sum is what the dead features leave.
  const left = tf.add<Tensor2D>(decode(sparse, choice, coder.W_dec.value), error);
  const weight = recipe.auxiliaryWeight;
  const g = tf.mul<Tensor2D>(left, weight * scale);
  return {
    value: tf.mul(tf.sum(tf.square(left)), (weight * scale) / 2),
    gradients: backward(sparse, choice, { x, g, W_dec: coder.W_dec.value, added: null }),
  };
}

function matrixGradients(
  coder: Coder,
  own: ChoiceGradients,
  auxiliary: ChoiceGradients | undefined,
): (readonly [DeviceParameter, Tensor])[] {
  const names = ['W_enc', 'b_enc', 'W_dec'] as const;
  return names.map((name) => {
    const gradient: Tensor = own[name];
    const parameter = coder[name] as DeviceParameter;
    return [parameter, auxiliary ? tf.add(gradient, auxiliary[name]) : gradient] as const;
  });
}
