/**
 * Training, step 3: model and transcoders together. The losses ask for a model that few features explain: they reconstruct the
 * outputs of MLPs, the model predicts as well with all MLPs replaced, and exchanged features exchange the answers.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { TransformerConfig } from '../model/config.ts';
import { batchOf } from './batch.ts';
import { capturingPass, rowsAt } from './capture.ts';
import { interchangeLosses, subjectLosses, type Interchange, type Questions } from './interchange.ts';
import { descend, type LoopOptions } from './loop.ts';
import { modelOfVariables } from './model-parameters.ts';
import { Variables, type Parameter } from './parameters.ts';
import { predictionLoss, type Prediction } from './pass.ts';
import type { Random } from '../random.ts';
import { reconstruct, steer, type Reconstruction } from './reconstruction.ts';
import { replacedPass } from './replaced-pass.ts';
import type { RowSource } from './train-model.ts';
import { countSilent, REVIVE_EVERY_STEPS, REVIVING_SHARE } from './train-transcoders.ts';
import { listOf, transcoderOfVariables, type TranscoderParameters } from './transcoder-parameters.ts';

/** Weights of the losses beside the model's own, which has weight 1. */
export interface LossWeights {
  /** Of the loss with all MLPs replaced. */
  readonly replaced: number;
  /** Of the mean unexplained variance. */
  readonly reconstruction: number;
  readonly interchange: number;
  /** Of the unexplained variance where features are exchanged. */
  readonly exchangedReconstruction: number;
  /** Of the unexplained variance at the subjects of questions. */
  readonly subjects: number;
  /** Of what members of a group lack of the features that it shares. */
  readonly sharing: number;
}

export interface JointTrainingOptions extends LoopOptions {
  readonly rowsAStep: number;
  readonly n_silent: number;
  readonly activeFeatures: number;
  readonly random: Random;
  /** Weights of a step. If MLPs are replaced before the transcoders are faithful, the model memorises answers. */
  readonly weights: (step: number, steps: number) => LossWeights;
  readonly interchange: () => Interchange;
  /** Questions of one wording, for the losses on reconstruction and on shared features at their subjects. */
  readonly questions: () => Questions;
}

/** Changes the arrays of model and transcoders in place. */
export async function trainJointly(
  config: TransformerConfig,
  parameters: readonly Parameter[],
  layers: readonly TranscoderParameters[],
  corpus: RowSource,
  options: JointTrainingOptions,
): Promise<void> {
  const { rowsAStep, n_silent, activeFeatures, random, steps } = options;
  using variables = new Variables([...parameters, ...layers.flatMap(listOf)]);
  await descend(
    variables,
    (step) => {
      const rows = corpus.batch(rowsAStep);
      const interchange = options.interchange();
      const questions = options.questions();
      return () => {
        const batch = batchOf(rows);
        const wanted: Prediction = { places: batch.places, targets: batch.targets, n_silent };
        const weights = options.weights(step, steps);
        const kept: Reconstruction['kept'][] = [];
        const parts: Record<string, tf.Scalar> = {};
        const loss = (): tf.Scalar => {
          const model = modelOfVariables(config, variables);
          const transcoders = layers.map((layer) => transcoderOfVariables(layer, variables));
          const weighted = (name: string, value: tf.Scalar, weight: number): tf.Scalar => {
            parts[name] = tf.keep(value.clone());
            return tf.mul(value, weight);
          };
          const plain = capturingPass(model, batch);
          const losses = [weighted('plain', predictionLoss(model, plain.residual, wanted), 1)];
          for (const [l, transcoder] of transcoders.entries()) {
            const x = rowsAt(plain.inputs[l]!, batch.inner);
            const one = reconstruct(transcoder, x, rowsAt(plain.outputs[l]!, batch.inner));
            kept[l] = one.kept;
            losses.push(tf.mul(one.unexplained, weights.reconstruction / layers.length));
          }
          if (weights.replaced > 0) {
            const residual = replacedPass(model, transcoders, batch, plain);
            losses.push(weighted('replaced', predictionLoss(model, residual, wanted), weights.replaced));
          }
          if (weights.interchange > 0) {
            const { answers, unexplained, unshared } = interchangeLosses(
              model,
              transcoders,
              { ...interchange, isReplaced: interchange.isReplaced && weights.replaced > 0 },
              n_silent,
            );
            losses.push(weighted('interchange', answers, weights.interchange));
            losses.push(weighted('unexplained', unexplained, weights.exchangedReconstruction));
            losses.push(weighted('unshared', unshared, weights.sharing));
          }
          const subjects = subjectLosses(model, transcoders, questions);
          losses.push(weighted('subjects', subjects.unexplained, weights.subjects));
          losses.push(weighted('lacking', subjects.unshared, weights.sharing));
          return tf.addN(losses);
        };
        const isReviving =
          step % REVIVE_EVERY_STEPS === REVIVE_EVERY_STEPS - 1 && step < REVIVING_SHARE * steps;
        const sparsity = { target: activeFeatures, reviveAfterSteps: isReviving ? REVIVE_EVERY_STEPS : null };
        return {
          loss,
          after: async (optimizer) => {
            const measures: Record<string, number> = {};
            for (const [name, value] of Object.entries(parts)) {
              measures[name] = (await value.data())[0]!;
              value.dispose();
            }
            for (const [l, layer] of layers.entries()) {
              const { unexplained, L0 } = await steer(layer, kept[l]!, sparsity, optimizer, random);
              measures[`EV${l}`] = 1 - unexplained;
              measures[`L0_${l}`] = L0;
              measures[`silent${l}`] = countSilent(layer);
            }
            return measures;
          },
        };
      };
    },
    options,
  );
}
