/** Model: the effect of a direction of the residual stream on the logits, on the direct path. */
import * as tf from '@tensorflow/tfjs-core';
import type { Backend, HeldWeight, Tensor2D } from '../backend/backend.ts';
import { weightSource } from '../backend/weight-source.ts';
import { firstNonFinite, widen } from '../formats/dtype.ts';
import { weightAt, type Checkpoint } from './checkpoint.ts';
import { findNotFinite, notFinite } from './not-finite.ts';

/**
 * How much each logit (before the cap) grows, relative to the mean over the vocabulary, when `direction` [d_model] is added
 * to the last residual stream, before the division by the final norm's divisor, which depends on the prompt. [d_vocab]
 * Throws `BadFileError` when a parameter that is used holds numbers that are not finite.
 */
export async function tokenEffects(
  backend: Backend,
  checkpoint: Checkpoint,
  direction: Float32Array,
): Promise<Float32Array> {
  const { config, file } = checkpoint;
  const { W_E, W_U, ln_final } = checkpoint.names;
  const unembedding = config.tie_word_embeddings ? W_E : W_U;
  const gain = widen(await file.read(ln_final), weightAt(checkpoint, ln_final).dtype);
  const offset = config.family.normGainOffset;
  const normed = direction.map((value, i) => value * (gain[i]! + offset));
  using weight = backend.streamWeight(weightSource(file, weightAt(checkpoint, unembedding)));
  using held = await weight.acquire();
  const effects = tf.tidy(() => logitEffects(held, tf.tensor2d(normed, [1, config.d_model])));
  try {
    const values = await effects.data<'float32'>();
    const bad = firstNonFinite(values) < 0 ? undefined : await findNotFinite(file, [ln_final, unembedding]);
    if (bad !== undefined) throw notFinite(file.name, bad);
    return values;
  } finally {
    effects.dispose();
  }
}

/**
 * For directions [n, d_model] that the final norm's gain was applied to: how much each logit grows, relative to the mean over
 * the vocabulary, [n, d_vocab]. Called inside a tidy.
 */
export function logitEffects(unembedding: HeldWeight, directions: Tensor2D): Tensor2D {
  const z = unembedding.matMul(directions, { transpose: true });
  return tf.sub(z, tf.mean(z, 1, true));
}
