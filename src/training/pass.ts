/** Training: a pass over a batch, from tokens to the last residual stream, and the loss on the next tokens. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../backend/backend.ts';
import type { HookPoints } from '../model/activation-cache.ts';
import { block } from '../model/block.ts';
import { batchContext, type Batch } from './batch.ts';
import { cappedCrossEntropy, crossEntropy } from './cross-entropy.ts';
import type { BatchModel } from './model-parameters.ts';

/** No hook does anything. */
export const NO_HOOKS: HookPoints = { at: (_name, value) => value };

/** The last residual stream [n_rows · length, d_model]. Called inside a tidy. */
export function residualOf(model: BatchModel, batch: Batch, hooks: HookPoints): Tensor2D {
  const { config } = model;
  const context = batchContext(config, batch, hooks);
  const rows: Tensor2D = tf.gather(model.W_E, tf.tensor1d(batch.tokens, 'int32'));
  let residual: Tensor2D = tf.mul(rows, config.embed_scale);
  for (const [layer, weights] of model.blocks.entries()) residual = block(residual, weights, layer, context);
  return residual;
}

export interface Prediction {
  /** Rows of the residual stream to predict from, and the token that follows each. */
  readonly places: Int32Array;
  readonly targets: Int32Array;
  /** Tokens of the vocabulary that are not trained: their embedding, and so their logit, is 0. */
  readonly n_silent: number;
}

/** Mean loss in nats at `places` of a residual stream. */
export function predictionLoss(model: BatchModel, residual: Tensor2D, wanted: Prediction): tf.Scalar {
  const { places, targets, n_silent } = wanted;
  const cap = model.config.output_logits_soft_cap;
  const z = unembedded(model, residual, places);
  return cap === null ? crossEntropy(z, targets, n_silent) : cappedCrossEntropy(z, targets, cap, n_silent);
}

/** Logits at places of the residual stream; of a model with a cap, the logits before it, divided by the cap. */
export function unembedded(model: BatchModel, residual: Tensor2D, places: Int32Array): Tensor2D {
  const { config } = model;
  const chosen: Tensor2D = tf.gather(residual, tf.tensor1d(places, 'int32'));
  const normalized = model.ln_final.forward(chosen, NO_HOOKS, {
    scale: 'ln_final.hook_scale',
    normalized: 'ln_final.hook_normalized',
  });
  const cap = config.output_logits_soft_cap;
  // Dividing before the product avoids a second array as wide as the vocabulary.
  return tf.matMul(cap === null ? normalized : tf.div<Tensor2D>(normalized, cap), model.W_E, false, true);
}
