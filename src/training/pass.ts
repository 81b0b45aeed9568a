/** Training: a pass over a batch, from tokens to the last residual stream, and the loss on the next tokens. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../backend/backend.ts';
import type { HookPoints } from '../model/activation-cache.ts';
import { block } from '../model/block.ts';
import { rmsNorm } from '../model/norm.ts';
import { batchContext, type Batch } from './batch.ts';
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
  const { config } = model;
  const z = unembedded(model, residual, wanted.places);
  return cappedCrossEntropy(z, wanted.targets, config.output_logits_soft_cap ?? NO_CAP, wanted.n_silent);
}

/** Logits before the cap, divided by the cap, at places of the residual stream. */
export function unembedded(model: BatchModel, residual: Tensor2D, places: Int32Array): Tensor2D {
  const { config } = model;
  const chosen: Tensor2D = tf.gather(residual, tf.tensor1d(places, 'int32'));
  const normalized = rmsNorm(model.ln_final, config.eps).forward(chosen, NO_HOOKS, {
    scale: 'ln_final.hook_scale',
    normalized: 'ln_final.hook_normalized',
  });
  const cap = config.output_logits_soft_cap ?? NO_CAP;
  return tf.matMul(tf.div<Tensor2D>(normalized, cap), model.W_E, false, true);
}

/** So large that tanh is the identity, and exp of it is still finite. */
const NO_CAP = 60;

/**
 * Mean of −log softmax(cap · tanh(z))[target] over rows, with `n_silent` further logits of 0. The gradient is written out:
 * the arrays are as wide as the vocabulary, and autodiff would make three times as many. No maximum is subtracted,
 * because exp(cap) is far from the largest float32.
 */
function cappedCrossEntropy(z: Tensor2D, targets: Int32Array, cap: number, n_silent: number): tf.Scalar {
  const [n, width] = z.shape;
  const loss = tf.customGrad((x, save) => {
    const t = tf.tanh(x as Tensor2D);
    const exponentials = tf.exp(tf.mul(t, cap));
    const sums = tf.add(tf.sum(exponentials, 1, true), n_silent); // [n, 1]
    const at = tf.tensor2d(
      Array.from(targets, (target, i) => [i, target]),
      [n, 2],
      'int32',
    );
    const chosen = tf.mul(tf.gatherND(t, at), cap); // [n]
    const value = tf.mean(tf.sub(tf.log(tf.squeeze(sums, [1])), chosen));
    (save as tf.GradSaveFunc)([t, exponentials, sums]);
    return {
      value,
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const [tanh, powers, total] = saved as [Tensor2D, Tensor2D, Tensor2D];
        const hot = tf.oneHot(tf.tensor1d(targets, 'int32'), width, 1, 0, 'float32');
        const slope = tf.sub(1, tf.square(tanh));
        const error = tf.mul(tf.sub(tf.div(powers, total), hot), slope);
        return tf.mul(error, tf.mul(dy, cap / n));
      },
    };
  });
  return loss(z) as tf.Scalar;
}
