/** Training: how well and how sparsely a transcoder reconstructs what an MLP writes, and the corrections after a step. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor1D, Tensor2D } from '../backend/backend.ts';
import type { AdamW } from './adamw.ts';
import type { Random } from '../random.ts';
import {
  aimFeature,
  decode,
  encode,
  type LayerTranscoder,
  type TranscoderParameters,
} from './transcoder-parameters.ts';

/** Of one layer and batch. The kept tensors belong to the caller; dispose them. */
export interface Reconstruction {
  /** Share of the variance of the output that is not rebuilt; a scalar with gradient. */
  readonly unexplained: tf.Scalar;
  /** Kept copies: the share again, active tokens a feature [d_transcoder], inputs and errors [n, d_model]. */
  readonly kept: {
    readonly unexplained: tf.Scalar;
    readonly counts: Tensor1D;
    readonly x: Tensor2D;
    readonly error: Tensor2D;
  };
}

/** Share of the variance of y that is not rebuilt from x. */
export function unexplainedShare(transcoder: LayerTranscoder, x: Tensor2D, y: Tensor2D): tf.Scalar {
  return shareOf(tf.sub(y, decode(transcoder, encode(transcoder, x))), y);
}

function shareOf(error: Tensor2D, y: Tensor2D): tf.Scalar {
  const variance = tf.sum(tf.square(tf.sub(y, tf.mean(y, 0, true))));
  return tf.div(tf.sum(tf.square(error)), variance);
}

export function reconstruct(transcoder: LayerTranscoder, x: Tensor2D, y: Tensor2D): Reconstruction {
  const features = encode(transcoder, x);
  const error = tf.sub<Tensor2D>(y, decode(transcoder, features));
  const unexplained = shareOf(error, y);
  const active = tf.cast(tf.notEqual(features, tf.scalar(0)), 'float32');
  const keep = <T extends tf.Tensor>(tensor: T): T => tf.keep(tensor.clone());
  return {
    unexplained,
    kept: { unexplained: keep(unexplained), counts: keep(tf.sum(active, 0)), x: keep(x), error: keep(error) },
  };
}

export interface Sparsity {
  /** Features wanted active a token. */
  readonly target: number;
  /** Features that were inactive for longer are revived in this step; null: none are. */
  readonly reviveAfterSteps: number | null;
}

/** Target of a step: it falls from four times the last one in the first part of a training, so that features spread first. */
export function targetAt(step: number, steps: number, last: number): number {
  const progress = Math.min(1, step / (FALLING_SHARE * steps));
  return last * FIRST_FACTOR ** (1 - progress);
}

const FALLING_SHARE = 0.3;
const FIRST_FACTOR = 4;
const STEERING_RATE = 0.1;
const STRONGEST_TURN = 0.2;
const LEAST_ACTIVE = 0.01; // keeps the logarithm finite
/** The threshold of a feature that was inactive for so many steps is lowered at every step until it is active again. */
const SILENT_STEPS = 50;
const LOWERING = 0.98;

/**
 * After a step: moves the thresholds of a layer towards the wanted sparsity and revives silent features at tokens that are
 * badly rebuilt. Disposes what was kept.
 */
export async function steer(
  parameters: TranscoderParameters,
  kept: Reconstruction['kept'],
  sparsity: Sparsity,
  optimizer: AdamW,
  random: Random,
): Promise<{ unexplained: number; L0: number }> {
  const { threshold, silentSteps } = parameters;
  const n = kept.x.shape[0];
  try {
    const counts = await kept.counts.data<'float32'>();
    const unexplained = (await kept.unexplained.data())[0]!;
    const L0 = counts.reduce((sum, count) => sum + count, 0) / n;
    const turn = STEERING_RATE * Math.log(Math.max(L0, LEAST_ACTIVE) / sparsity.target);
    const factor = Math.exp(Math.max(-STRONGEST_TURN, Math.min(STRONGEST_TURN, turn)));
    for (let f = 0; f < counts.length; f++) {
      silentSteps.values[f] = counts[f]! > 0 ? 0 : silentSteps.values[f]! + 1;
      threshold.values[f]! *= silentSteps.values[f]! > SILENT_STEPS ? Math.min(1, factor) * LOWERING : factor;
    }
    if (sparsity.reviveAfterSteps !== null)
      await revive(parameters, kept, sparsity.reviveAfterSteps, optimizer, random);
    return { unexplained, L0 };
  } finally {
    for (const tensor of Object.values(kept)) tensor.dispose();
  }
}

/** Several features are revived at similar tokens, so each writes only a part of what is missing. */
const REVIVED_SHARE = 1 / 3;
const MARGIN = 0.7;

/** Aims silent features at tokens drawn in proportion to their squared error, with the layer's usual threshold. */
async function revive(
  parameters: TranscoderParameters,
  { x, error }: Reconstruction['kept'],
  afterSteps: number,
  optimizer: AdamW,
  random: Random,
): Promise<void> {
  const { threshold, silentSteps, W_enc, W_dec } = parameters;
  const silent = [...silentSteps.values.keys()].filter((f) => silentSteps.values[f]! >= afterSteps);
  if (silent.length === 0) return;
  const [n, d_model] = x.shape;
  const [inputs, errors] = await Promise.all([x.data<'float32'>(), error.data<'float32'>()]);
  const row = (values: Float32Array, i: number): Float32Array =>
    values.subarray(i * d_model, (i + 1) * d_model);
  const squares = Array.from({ length: n }, (_, i) => row(errors, i).reduce((sum, v) => sum + v * v, 0));
  const total = squares.reduce((a, b) => a + b, 0);
  const usual = [...threshold.values].sort((a, b) => a - b)[threshold.values.length >> 1]!;
  for (const feature of silent) {
    let place = random.next() * total;
    let token = 0;
    while (token < n - 1 && (place -= squares[token]!) > 0) token++;
    const wanted = row(errors, token);
    aimFeature(parameters, feature, row(inputs, token), wanted, REVIVED_SHARE);
    // Below its pre-activation at its token, or it would stay inactive.
    threshold.values[feature] = Math.min(usual, MARGIN * REVIVED_SHARE * Math.hypot(...wanted));
    for (const { name } of [W_enc, W_dec]) {
      const moments = optimizer.moments.get(name);
      moments?.mean.fill(0, feature * d_model, (feature + 1) * d_model);
      moments?.square.fill(0, feature * d_model, (feature + 1) * d_model);
    }
  }
}
