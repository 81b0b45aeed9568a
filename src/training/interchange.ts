/**
 * Training: interchange (Geiger et al., 2022). Prompts of one wording that differ in one token: the features at that token
 * are set to those of another prompt, and the wanted answer is the other prompt's. It trains the model so that these features
 * are sufficient for the answer.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../backend/backend.ts';
import { batchOf, type Batch } from './batch.ts';
import { capturingPass, rowsAt } from './capture.ts';
import type { BatchModel } from './model-parameters.ts';
import { predictionLoss } from './pass.ts';
import { unexplainedShare } from './reconstruction.ts';
import { withOutputs } from './replaced-pass.ts';
import { decode, encode, preActivations, type LayerTranscoder } from './transcoder-parameters.ts';

/** Prompts of one wording: of the same length, different at `position` alone. */
export interface Wordings {
  readonly prompts: readonly (readonly number[])[];
  readonly position: number;
}

export interface Interchange extends Wordings {
  /** The same subjects in another wording, if features are taken from it: they are trained to be the same in both. */
  readonly donors: Wordings | null;
  /** [n, n]: row r has the weights with which the subjects' features are averaged for prompt r. */
  readonly sources: Float32Array;
  /** [n, n]: row r is the mean over the group of prompt r's own subject: the subjects with the same answer. */
  readonly groups: Float32Array;
  readonly exchanged: Exchanged;
  /** All MLPs are replaced besides, so that nothing but features reaches the answer. */
  readonly isReplaced: boolean;
  /** The token that each prompt is then to be followed by. */
  readonly answers: Int32Array;
}

/**
 * Which features are exchanged. `all`: all of them. `shared alone`: the subject loses all, and gets those that most subjects of
 * the other group share. `shared instead`: it gets these in exchange for those that most of its own group share, and keeps the
 * rest. With the last two, the answer cannot come from features of a single subject, and must not depend on them.
 */
export type Exchanged = 'all' | 'shared alone' | 'shared instead';

export interface InterchangeLosses {
  /** Mean loss of the answers under the exchanged features. The MLPs' errors stay as they are, unless all MLPs are replaced. */
  readonly answers: tf.Scalar;
  /** Share of the outputs' variance that is not rebuilt at the token that differs and at the last one, mean over layers. */
  readonly unexplained: tf.Scalar;
  /** How far features that most of a group share stay below a part of the group's mean (`wantedShare`), as a share of that. */
  readonly unshared: tf.Scalar;
}

export function interchangeLosses(
  model: BatchModel,
  transcoders: readonly LayerTranscoder[],
  { prompts, position, donors, sources, groups, exchanged, isReplaced, answers }: Interchange,
  n_silent: number,
): InterchangeLosses {
  const batch = batchOf(prompts);
  const { n_rows: n, length } = batch;
  const places = (at: number): Int32Array => placesAt(batch, at);
  const changed = places(position);
  const mix = tf.tensor2d(sources, [n, n]);
  const group = tf.tensor2d(groups, [n, n]);
  const from = donors ? batchOf(donors.prompts) : batch;
  const read = placesAt(from, donors ? donors.position : position);
  const own = capturingPass(model, from);
  const unshared: tf.Scalar[] = [];
  const exchanges = transcoders.map((transcoder, l) => {
    const subjects = lookUp(transcoder, rowsAt(own.inputs[l]!, read), group, wantedShare(l));
    const { features, isShared } = subjects;
    unshared.push(subjects.unshared);
    const wanted = tf.matMul(mix, features);
    if (exchanged === 'all') return { wanted, gone: null };
    const isTaken = tf.matMul(mix, isShared); // rows that are mixed belong to one group
    return {
      wanted: tf.mul<Tensor2D>(wanted, isTaken),
      gone: exchanged === 'shared instead' ? tf.maximum<Tensor2D>(isTaken, isShared) : null,
    };
  });
  const told = Int32Array.from([...read, ...placesAt(from, from.length - 1)]);
  const unexplained = transcoders.map((transcoder, l) =>
    unexplainedShare(transcoder, rowsAt(own.inputs[l]!, told), rowsAt(own.outputs[l]!, told)),
  );
  const write = (layer: number, input: Tensor2D, output: Tensor2D): Tensor2D => {
    const transcoder = transcoders[layer]!;
    const { wanted, gone } = exchanges[layer]!;
    const present = encode(transcoder, rowsAt(input, changed));
    const difference = tf.sub<Tensor2D>(wanted, gone ? tf.mul(present, gone) : present);
    const change = tf.matMul(difference, transcoder.W_dec); // [n, d_model]
    const width = model.config.d_model;
    const placed = tf.pad(tf.reshape<tf.Rank.R3>(change, [n, 1, width]), [
      [0, 0],
      [position, length - position - 1],
      [0, 0],
    ]);
    return tf.add(output, tf.reshape(placed, [n * length, width]));
  };
  const residual = isReplaced
    ? withOutputs(model, batch, own, (layer, input) =>
        write(layer, input, decode(transcoders[layer]!, encode(transcoders[layer]!, input))),
      )
    : capturingPass(model, batch, write).residual;
  return {
    answers: predictionLoss(model, residual, { places: places(length - 1), targets: answers, n_silent }),
    unexplained: tf.div(tf.addN(unexplained), transcoders.length),
    unshared: tf.div(tf.addN(unshared), transcoders.length),
  };
}

/** Features of subjects, which of them most of a subject's group share, and what subjects lack of these. */
function lookUp(transcoder: LayerTranscoder, x: Tensor2D, group: Tensor2D, share: number) {
  const features = encode(transcoder, x);
  const isShared = activeAtMost(group, features);
  const means = constant(tf.matMul(group, features));
  const wanted = tf.mul<Tensor2D>(tf.mul(means, share), isShared);
  return { features, isShared, unshared: lackingShare(preActivations(transcoder, x), wanted, isShared) };
}

/** Share of a group that counts as most of it: 3 of 4, 2 of 3, both of 2. */
const MOST = 0.6;

/** 1 where a feature is active at most of a row's group, else 0. */
function activeAtMost(group: Tensor2D, features: Tensor2D): Tensor2D {
  return constant(features, (values) => {
    const active = tf.cast(tf.notEqual(values, tf.scalar(0)), 'float32');
    return tf.cast(tf.greater(tf.matMul(group, active), MOST), 'float32');
  });
}

/**
 * The share of the group's mean that a member should reach. It is smaller in layer 0, whose features distinguish names and
 * become too similar with more; later layers represent what the members have in common.
 */
function wantedShare(layer: number): number {
  return layer === 0 ? 0.5 : 0.8;
}

const LEAST_MEAN = 1e-3; // where nothing is shared

/** What a member lacks of its group's shared features. Only this loss gives inactive features a gradient. */
function lackingShare(pre: Tensor2D, wanted: Tensor2D, isShared: Tensor2D): tf.Scalar {
  const lacking = tf.mul(tf.relu(tf.sub<Tensor2D>(wanted, pre)), isShared);
  return tf.div(tf.sum(lacking), tf.maximum(tf.sum(wanted), LEAST_MEAN));
}

/** A value, or what is computed from it, without a gradient. */
function constant(
  tensor: Tensor2D,
  of: (values: Tensor2D) => Tensor2D = (values) => values.clone(),
): Tensor2D {
  const stopped = tf.customGrad((values) => ({
    value: of(values as Tensor2D),
    gradFunc: () => tf.zerosLike(tensor),
  }));
  return stopped(tensor);
}

/** Questions whose subjects' features are looked at as they are: nothing is exchanged. */
export interface Questions extends Wordings {
  /** As of an interchange. */
  readonly groups: Float32Array;
}

/** At the token that differs, where facts are looked up: the losses of the same names, means over layers. */
export function subjectLosses(
  model: BatchModel,
  transcoders: readonly LayerTranscoder[],
  { prompts, position, groups }: Questions,
): Omit<InterchangeLosses, 'answers'> {
  const batch = batchOf(prompts);
  const places = placesAt(batch, position);
  const group = tf.tensor2d(groups, [batch.n_rows, batch.n_rows]);
  const { inputs, outputs } = capturingPass(model, batch);
  const losses = transcoders.map((transcoder, l) => {
    const x = rowsAt(inputs[l]!, places);
    return {
      unexplained: unexplainedShare(transcoder, x, rowsAt(outputs[l]!, places)),
      unshared: lookUp(transcoder, x, group, wantedShare(l)).unshared,
    };
  });
  const mean = (of: 'unexplained' | 'unshared'): tf.Scalar =>
    tf.div(tf.addN(losses.map((one) => one[of])), transcoders.length);
  return { unexplained: mean('unexplained'), unshared: mean('unshared') };
}

/** The places of one position in every row of a batch. */
function placesAt({ n_rows, length }: Batch, position: number): Int32Array {
  return Int32Array.from({ length: n_rows }, (_, r) => r * length + position);
}
