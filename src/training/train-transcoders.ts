/** Training, step 2: JumpReLU transcoders of a model that stays as it is. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../backend/backend.ts';
import { batchOf } from './batch.ts';
import { capturingPass, rowsAt } from './capture.ts';
import { descend, type LoopOptions } from './loop.ts';
import type { BatchModel } from './model-parameters.ts';
import { Variables } from './parameters.ts';
import type { Random } from '../random.ts';
import { reconstruct, steer, targetAt, type Reconstruction } from './reconstruction.ts';
import type { RowSource } from './train-model.ts';
import {
  aimFeature,
  listOf,
  transcoderOfVariables,
  transcoderParameters,
  type TranscoderParameters,
} from './transcoder-parameters.ts';

export interface TranscoderTrainingOptions extends LoopOptions {
  readonly rowsAStep: number;
  readonly d_transcoder: number;
  /** Features wanted active a token and layer. */
  readonly activeFeatures: number;
  readonly random: Random;
}

/** Features are revived every so many steps, if they were inactive for as many. */
export const REVIVE_EVERY_STEPS = 50;

/**
 * Trains one transcoder a layer, from the normalised input of the MLP to what its block adds to the residual stream.
 * The first token of a row is left out. The caller owns the tensors of `model`.
 */
export async function trainTranscoders(
  model: BatchModel,
  corpus: RowSource,
  options: TranscoderTrainingOptions,
): Promise<TranscoderParameters[]> {
  const { n_layers, d_model } = model.config;
  const { rowsAStep, d_transcoder, steps, activeFeatures, random } = options;
  const layers = Array.from({ length: n_layers }, (_, l) => transcoderParameters(l, d_transcoder, d_model));
  await aimAtTokens(
    layers,
    model,
    [1, 2, 3].flatMap(() => [...corpus.batch(rowsAStep)]),
    random,
  );
  await firstThresholds(layers, model, corpus.batch(rowsAStep), targetAt(0, steps, activeFeatures));
  using variables = new Variables(layers.flatMap(listOf));
  await descend(
    variables,
    (step) => {
      const rows = corpus.batch(rowsAStep);
      return () => {
        const values = mlpValues(model, rows);
        const kept: Reconstruction['kept'][] = [];
        const loss = (): tf.Scalar => {
          const parts = layers.map((layer, l) => {
            const one = reconstruct(transcoderOfVariables(layer, variables), values[l]!.x, values[l]!.y);
            kept[l] = one.kept;
            return one.unexplained;
          });
          return tf.addN(parts);
        };
        const isReviving =
          step % REVIVE_EVERY_STEPS === REVIVE_EVERY_STEPS - 1 && step < REVIVING_SHARE * steps;
        const sparsity = {
          target: targetAt(step, steps, activeFeatures),
          reviveAfterSteps: isReviving ? REVIVE_EVERY_STEPS : null,
        };
        return {
          loss,
          after: async (optimizer) => {
            const measures: Record<string, number> = {};
            for (const [l, layer] of layers.entries()) {
              const { unexplained, L0 } = await steer(layer, kept[l]!, sparsity, optimizer, random);
              measures[`EV${l}`] = 1 - unexplained;
              measures[`L0_${l}`] = L0;
              measures[`silent${l}`] = countSilent(layer);
              values[l]!.x.dispose();
              values[l]!.y.dispose();
            }
            return measures;
          },
        };
      };
    },
    options,
  );
  return layers;
}

/** No feature is revived in the last part of a training: a revived one has to be trained for some time. */
export const REVIVING_SHARE = 0.85;

export function countSilent({ silentSteps }: TranscoderParameters): number {
  return silentSteps.values.filter((steps) => steps >= REVIVE_EVERY_STEPS).length;
}

/** Inputs and outputs of every MLP at all tokens but the first of a row. The caller disposes them. */
export function mlpValues(
  model: BatchModel,
  rows: readonly ArrayLike<number>[],
): { x: Tensor2D; y: Tensor2D }[] {
  const batch = batchOf(rows);
  return tf.tidy(() => {
    const { inputs, outputs } = capturingPass(model, batch);
    return inputs.map((x, l) => ({
      x: tf.keep(rowsAt(x, batch.inner)),
      y: tf.keep(rowsAt(outputs[l]!, batch.inner)),
    }));
  });
}

/** Several features begin at similar tokens and are active together, so each writes only a part of the output. */
const FIRST_SHARE = 1 / 16;

/** Every feature begins at a token of the corpus: it reads its input and writes its output, less the mean. */
async function aimAtTokens(
  layers: readonly TranscoderParameters[],
  model: BatchModel,
  rows: readonly ArrayLike<number>[],
  random: Random,
): Promise<void> {
  const values = mlpValues(model, rows);
  for (const [l, layer] of layers.entries()) {
    const { x, y } = values[l]!;
    const [n, d_model] = x.shape;
    const [inputs, outputs] = await Promise.all([x.data<'float32'>(), y.data<'float32'>()]);
    x.dispose();
    y.dispose();
    const mean = layer.b_dec.values;
    for (let i = 0; i < n * d_model; i++) mean[i % d_model]! += outputs[i]! / n;
    for (let feature = 0; feature < layer.threshold.values.length; feature++) {
      const at = random.below(n) * d_model;
      const output = outputs.subarray(at, at + d_model).map((value, i) => value - mean[i]!);
      aimFeature(layer, feature, inputs.subarray(at, at + d_model), output, FIRST_SHARE);
    }
  }
}

/** Thresholds with which as many features are active as are wanted at the start. */
async function firstThresholds(
  layers: readonly TranscoderParameters[],
  model: BatchModel,
  rows: readonly ArrayLike<number>[],
  wanted: number,
): Promise<void> {
  const values = mlpValues(model, rows);
  for (const [l, { W_enc, threshold }] of layers.entries()) {
    const { x, y } = values[l]!;
    const pre = tf.tidy(() =>
      tf.matMul(x, tf.tensor2d(W_enc.values, W_enc.shape as [number, number]), false, true),
    );
    const sorted = (await pre.data<'float32'>()).slice().sort();
    threshold.values.fill(Math.max(0, sorted[Math.max(0, sorted.length - Math.round(wanted * x.shape[0]))]!));
    for (const tensor of [x, y, pre]) tensor.dispose();
  }
}
