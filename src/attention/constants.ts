/** Attention: what a layer writes that depends on no source: biases, and the MLPs at positions that a graph leaves out. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor1D, Tensor2D } from '../backend/backend.ts';
import type { FrozenPass } from '../attribution/frozen-pass.ts';
import type { LinearModel } from '../attribution/linear-model.ts';
import { blockHook, type HookName } from '../model/hooks.ts';
import type { ReplacementModel } from '../replacement/replacement-model.ts';

/** Of one layer; null where nothing is written. Dispose it after use. */
export interface LayerConstants extends Disposable {
  /** At hook_attn_out, [pos, d_model]: biases of attention and of the norm before it. */
  readonly attended: Tensor2D | null;
  /** At the feature output, [pos, d_model]: decoder bias and what the skip makes of the norm's bias; 0 at positions left out. */
  readonly written: Tensor2D | null;
  /** At the feature output of the positions left out, [n_ignored, d_model]: what the MLP writes, less its skip. */
  readonly first: Tensor2D | null;
}

export async function layerConstants(
  replacement: ReplacementModel,
  pass: FrozenPass,
  linear: LinearModel,
  layer: number,
): Promise<LayerConstants> {
  const attended = await attendedConstant(replacement, pass, linear, layer);
  try {
    const { written = null, first = null } = await writtenConstants(replacement, pass, layer);
    return {
      attended,
      written,
      first,
      [Symbol.dispose]: () => [attended, written, first].forEach((tensor) => tensor?.dispose()),
    };
  } catch (error) {
    attended?.dispose();
    throw error;
  }
}

/** What the values of heads have that is constant, [n_kv_heads · d_head]; null without biases. Belongs to the caller. */
async function constantValues({ model }: ReplacementModel, layer: number): Promise<Tensor1D | null> {
  const { matrices, biases, norms } = model.weights.blocks[layer]!;
  const b = norms.ln1?.parameters.b;
  if (!b) return biases.W_V?.clone() ?? null;
  using W_V = await matrices.W_V.acquire();
  return tf.tidy(() => {
    const moved = tf.reshape<tf.Rank.R1>(W_V.matMul(tf.reshape(b, [1, -1]), { transpose: true }), [-1]);
    return biases.W_V ? tf.add(moved, biases.W_V) : moved;
  });
}

async function attendedConstant(
  replacement: ReplacementModel,
  { activations, n_pos }: FrozenPass,
  linear: LinearModel,
  layer: number,
): Promise<Tensor2D | null> {
  const { norms, biases } = replacement.model.weights.blocks[layer]!;
  const values = await constantValues(replacement, layer);
  const b_O = biases.W_O;
  const b_post = norms.ln1_post?.parameters.b;
  if (!values && !b_O && !b_post) return null;
  try {
    using attention = await linear.attention(layer);
    return tf.tidy(() => {
      const parts: Tensor2D[] = [];
      if (values) {
        const width = values.shape[0];
        const repeated = tf.tile(tf.reshape<tf.Rank.R3>(values, [1, 1, width]), [1, n_pos, 1]);
        // The map divides by the divisor of ln1, which a constant behind it has not been divided by.
        const divisors = norms.ln1
          ? tf.reshape<tf.Rank.R3>(activations.get(blockHook(layer, 'ln1.hook_scale')), [1, n_pos, 1])
          : null;
        const taken = attention.mixed(divisors ? tf.mul(repeated, divisors) : repeated);
        parts.push(attention.output(tf.reshape(taken, [n_pos, -1])));
      }
      if (b_O) {
        const row = tf.reshape<tf.Rank.R2>(b_O, [1, -1]);
        parts.push(
          norms.ln1_post
            ? tf.div(norms.ln1_post.linear(row), activations.get(blockHook(layer, 'ln1_post.hook_scale')))
            : tf.tile(row, [n_pos, 1]),
        );
      }
      if (b_post) parts.push(tf.tile(tf.reshape<tf.Rank.R2>(b_post, [1, -1]), [n_pos, 1]));
      return tf.addN(parts);
    });
  } finally {
    values?.dispose();
  }
}

async function writtenConstants(
  replacement: ReplacementModel,
  { activations, n_pos, firstPosition }: FrozenPass,
  layer: number,
): Promise<{ written?: Tensor2D; first?: Tensor2D }> {
  const { model, transcoders } = replacement;
  const { d_model } = model.config;
  const b_dec = await transcoders.decoderBias(layer);
  const { ln2 } = model.weights.blocks[layer]!.norms;
  const b_ln2 = transcoders.config.feature_input_hook === 'hook_resid_mid' ? undefined : ln2?.parameters.b;
  using W_skip = await transcoders.acquireSkip(layer);
  return tf.tidy(() => {
    const moved = W_skip && b_ln2 ? W_skip.matMul(tf.reshape(b_ln2, [1, -1]), { transpose: true }) : null;
    const rows = [...(b_dec ? [tf.tensor2d(b_dec, [1, d_model])] : []), ...(moved ? [moved] : [])];
    const isKept = Float32Array.from({ length: n_pos }, (_, position) => (position < firstPosition ? 0 : 1));
    const written =
      rows.length > 0
        ? tf.mul<Tensor2D>(tf.tensor2d(isKept, [n_pos, 1]), tf.addN<Tensor2D>(rows))
        : undefined;
    const known = written ? { written } : {};
    if (firstPosition === 0) return known;
    const head = (name: HookName): Tensor2D =>
      tf.slice(activations.get<Tensor2D>(name), [0, 0], [firstPosition, d_model]);
    const whole = head(replacement.outputHook(layer));
    if (!W_skip) return { ...known, first: whole };
    const skipped = W_skip.matMul(head(replacement.inputHook(layer)), { transpose: true });
    return { ...known, first: tf.sub<Tensor2D>(whole, moved ? tf.sub(skipped, moved) : skipped) };
  });
}
