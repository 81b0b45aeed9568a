/** Model: the effect of a direction of the residual stream on the logits, on the direct path. */
import * as tf from '@tensorflow/tfjs-core';
import type { Backend, HeldWeight, Tensor2D } from '../backend/backend.ts';
import { firstNonFinite, widen } from '../formats/dtype.ts';
import { weightOf, type Checkpoint, type CheckpointWeight } from './checkpoint.ts';
import { normOf } from './norm.ts';
import { findNotFinite, notFinite } from './not-finite.ts';
import { placedSource } from './part-source.ts';

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
  const unembedding = weightOf(checkpoint, config.tie_word_embeddings ? 'embed.W_E' : 'unembed.W_U');
  const final = weightOf(checkpoint, 'ln_final.w');
  const gain = await gainOf(checkpoint, final);
  using weight = backend.streamWeight(placedSource(file, unembedding.info, unembedding.place));
  using held = await weight.acquire();
  const effects = tf.tidy(() => {
    const ln_final = normOf(config.block.norm, { w: tf.tensor1d(gain) }, config.eps);
    return logitEffects(held, ln_final.linear(tf.tensor2d(direction, [1, config.d_model])));
  });
  try {
    const values = await effects.data<'float32'>();
    const bad =
      firstNonFinite(values) < 0 ? undefined : await findNotFinite(file, [final.key, unembedding.key]);
    if (bad !== undefined) throw notFinite(file.name, bad);
    return values;
  } finally {
    effects.dispose();
  }
}

/**
 * A vector [d_model] that is written before the norm behind the MLP of a layer, as it enters the residual stream, without the division
 * by the norm's divisor, which depends on the prompt. The vector itself where there is no such norm.
 */
export async function throughPostNorm(
  checkpoint: Checkpoint,
  layer: number,
  vector: Float32Array,
): Promise<Float32Array> {
  if (!checkpoint.config.block.norms.includes('ln2_post')) return vector;
  const gain = await gainOf(checkpoint, weightOf(checkpoint, `blocks.${layer}.ln2_post.w`));
  return vector.map((value, i) => value * gain[i]!);
}

/** The gain of a norm as it is used, with the family's offset, [d_model]. */
async function gainOf({ config, file }: Checkpoint, { key, info }: CheckpointWeight): Promise<Float32Array> {
  const { norm } = config.block;
  const offset = norm.kind === 'rms' ? norm.gainOffset : 0;
  return widen(await file.read(key), info.dtype).map((value) => value + offset);
}

/**
 * For directions [n, d_model] that the final norm's gain was applied to: how much each logit grows, relative to the mean over
 * the vocabulary, [n, d_vocab]. Called inside a tidy.
 */
export function logitEffects(unembedding: HeldWeight, directions: Tensor2D): Tensor2D {
  const z = unembedding.matMul(directions, { transpose: true });
  return tf.sub(z, tf.mean(z, 1, true));
}
