/** Model: a layer whose MLP is a mixture of experts: which of them are used is known when its router has run. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor2D } from '../backend/backend.ts';
import type { PassContext, PastKeysValues } from './attention.ts';
import { attentionHalf, mlpHalf } from './block.ts';
import { matricesOf } from './block-spec.ts';
import { mixture, routed } from './experts.ts';
import { withMatrices, type BlockWeights } from './held-block.ts';

/** The residual stream [pos, d_model] after the layer. Disposes `residual`. */
export async function expertBlock(
  residual: Tensor2D,
  stored: BlockWeights,
  layer: number,
  context: PassContext,
  past: PastKeysValues | undefined,
): Promise<Tensor2D> {
  const spec = context.config.block;
  const { residMid, mlpIn, weights, made } = await withMatrices(stored, matricesOf(spec), (held) =>
    outlivingTidy(() => {
      const half = attentionHalf(residual, held, layer, context, past);
      return { ...half, weights: routed(half.mlpIn, held, layer, spec.experts!, context.hooks) };
    }),
  );
  residual.dispose();
  try {
    const mlpOut = await mixture(mlpIn, weights, stored.experts!, spec.experts!);
    try {
      return tf.tidy(() => mlpHalf(residMid, mlpOut, stored, layer, context));
    } finally {
      mlpOut.dispose();
    }
  } finally {
    for (const tensor of made) if (!tensor.kept) tensor.dispose();
  }
}

/**
 * Runs a step in a tidy whose tensors are disposed by the caller instead of at its end: `made`, less those that were kept. What an
 * edit has in the first half of a layer it may use in the second.
 */
function outlivingTidy<T extends Record<string, Tensor>>(step: () => T): T & { readonly made: Tensor[] } {
  let result: T | undefined;
  const made = tf.tidy(() => {
    result = step();
    return [...tf.engine().state.activeScope.track];
  });
  return { ...result!, made };
}
