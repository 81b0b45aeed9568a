/** Trainer: which features are active at the tokens of a batch, and how their gradients go back to pre-activations. */
import * as tf from '@tensorflow/tfjs-core';
import type { SparseProducts, SparseRows, Tensor1D, Tensor2D } from '../backend/backend.ts';
import { unreachable } from '../errors.ts';
import type { Recipe } from './recipe.ts';

/** Of TopK and BatchTopK. */
export interface SparseChoice extends SparseRows {
  readonly form: 'sparse';
  /** 1 where an entry is active, [n, m]; null: all are. Values are 0 elsewhere. */
  readonly isActive: Tensor2D | null;
  /** The smallest activation that was chosen; null where it decides nothing later. */
  readonly cut: tf.Scalar | null;
}

/** Of JumpReLU and ReLU. */
export interface DenseChoice {
  readonly form: 'dense';
  /** [n, d_transcoder] */
  readonly values: Tensor2D;
  /** 1 where a feature is active, [n, d_transcoder]. */
  readonly isActive: Tensor2D;
}

export type Choice = SparseChoice | DenseChoice;

/** BatchTopK keeps at most so many times k at one token: what is sorted stays small, and hardly a token has more. */
const MOST_OF_A_TOKEN = 4;

/** @param threshold of JumpReLU, [d_transcoder]. Called inside a tidy. */
export function choose(
  sparse: SparseProducts,
  pre: Tensor2D,
  { activation, k }: Pick<Recipe, 'activation' | 'k'>,
  threshold: Tensor1D | null,
): Choice {
  switch (activation) {
    case 'topk':
      return { form: 'sparse', ...sparse.largest(pre, k), isActive: null, cut: null };
    case 'batchtopk':
      return batchTopK(sparse, pre, k);
    case 'jumprelu':
      return dense(pre, threshold!);
    case 'relu':
      return dense(pre, tf.scalar(0));
    default:
      return unreachable(activation);
  }
}

function dense(pre: Tensor2D, threshold: tf.Tensor): DenseChoice {
  const isActive = tf.cast(tf.greater<Tensor2D>(pre, threshold), 'float32');
  return { form: 'dense', values: tf.mul(pre, isActive), isActive };
}

/** The n · k largest of the batch that are greater than 0. */
function batchTopK(sparse: SparseProducts, pre: Tensor2D, k: number): SparseChoice {
  const [n, d_transcoder] = pre.shape;
  const m = Math.min(d_transcoder, MOST_OF_A_TOKEN * k);
  const { values: candidates, indices } = sparse.largest(pre, m);
  const all = sparse.largest(tf.reshape<tf.Rank.R2>(candidates, [1, n * m]), n * k).values;
  const last = tf.slice(all, [0, n * k - 1], [1, 1]);
  const isActive = tf.cast(
    tf.logicalAnd<Tensor2D>(tf.greaterEqual(candidates, last), tf.greater(candidates, 0)),
    'float32',
  );
  const values = tf.mul<Tensor2D>(candidates, isActive);
  const cut = tf.min<tf.Scalar>(tf.where(tf.greater(isActive, 0), candidates, tf.fill([1, 1], Infinity)));
  return { form: 'sparse', values, indices, isActive, cut };
}

/** What features write, [n, columns] of W_dec [d_transcoder, columns]. */
export function decode(sparse: SparseProducts, choice: Choice, W_dec: Tensor2D): Tensor2D {
  return choice.form === 'sparse' ? sparse.weightedSum(choice, W_dec) : tf.matMul(choice.values, W_dec);
}

/** How often each feature was active, [d_transcoder]. */
export function countActive(choice: Choice, d_transcoder: number): Tensor1D {
  if (choice.form === 'dense') return tf.sum(choice.isActive, 0);
  const { indices, isActive } = choice;
  const n = indices.size;
  const ones = isActive ? tf.reshape<tf.Rank.R1>(isActive, [n]) : tf.ones<tf.Rank.R1>([n]);
  return tf.scatterND(tf.reshape(indices, [n, 1]), ones, [d_transcoder]);
}

/** Gradients of the matrices and the bias of a coder, and of what lies between them. */
export interface ChoiceGradients {
  readonly W_dec: Tensor2D;
  readonly W_enc: Tensor2D;
  readonly b_enc: Tensor1D;
  /** Of the activations: [n, m] as the choice has them. */
  readonly activations: Tensor2D;
}

export interface BackwardInputs {
  /** Inputs [n, d_model], and gradients of what was written [n, columns]. */
  readonly x: Tensor2D;
  readonly g: Tensor2D;
  readonly W_dec: Tensor2D;
  /** Added to the gradient of every active feature's activation: of a penalty. */
  readonly added: tf.Tensor | null;
}

/** Called inside a tidy. */
export function backward(
  sparse: SparseProducts,
  choice: Choice,
  { x, g, W_dec, added }: BackwardInputs,
): ChoiceGradients {
  const plus = (values: Tensor2D): Tensor2D => (added ? tf.add(values, added) : values);
  if (choice.form === 'dense') {
    const activations = plus(tf.matMul(g, W_dec, false, true));
    const pre = tf.mul<Tensor2D>(activations, choice.isActive);
    return {
      W_dec: tf.matMul(choice.values, g, true, false),
      W_enc: tf.matMul(pre, x, true, false),
      b_enc: tf.sum(pre, 0),
      activations,
    };
  }
  const { indices, isActive } = choice;
  const d_transcoder = W_dec.shape[0];
  const activations = plus(sparse.dot(g, indices, W_dec));
  const values = isActive ? tf.mul<Tensor2D>(activations, isActive) : activations;
  const n = indices.size;
  return {
    W_dec: sparse.scatter(choice, g, d_transcoder),
    W_enc: sparse.scatter({ values, indices }, x, d_transcoder),
    b_enc: tf.scatterND(tf.reshape(indices, [n, 1]), tf.reshape<tf.Rank.R1>(values, [n]), [d_transcoder]),
    activations,
  };
}
