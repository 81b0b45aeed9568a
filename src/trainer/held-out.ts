/** Trainer: how well coders rebuild tokens that they are not trained on, with the activations that the written set will have. */
import * as tf from '@tensorflow/tfjs-core';
import type { SparseProducts, Tensor2D } from '../backend/backend.ts';
import { fidelityOf, LayerSums, type LayerFidelity } from '../evaluation/layer-sums.ts';
import type { Block } from './activations.ts';
import { choose, type Choice } from './choice.ts';
import type { Coder } from './coder.ts';
import type { Normalisations } from './checkpoint.ts';
import { writtenBy } from './gradients.ts';
import { normalised } from './normalisation.ts';
import type { Recipe } from './recipe.ts';

export type HeldOutReport = Pick<
  LayerFidelity,
  'layer' | 'explained_variance' | 'cosine' | 'l0' | 'never_active_share'
>;

export interface HeldOutOptions {
  readonly sparse: SparseProducts;
  readonly recipe: Recipe;
  readonly normalisations: Normalisations;
}

/** @param groups coders that write into the same layers; `blocks` follow each other, so that only one has to be in memory */
export async function measureHeldOut(
  groups: readonly (readonly Coder[])[],
  blocks: AsyncIterable<Block>,
  options: HeldOutOptions,
): Promise<HeldOutReport[]> {
  const { recipe } = options;
  const sums = groups.map((coders) =>
    coders.map(({ layer, d_model }) => new LayerSums(layer, d_model, recipe.d_transcoder)),
  );
  for await (const block of blocks) {
    for (const [i, coders] of groups.entries()) await addBlock(coders, block, sums[i]!, options);
  }
  return sums.flat().map((one) => {
    const { layer, explained_variance, cosine, l0, never_active_share } = fidelityOf(one);
    return { layer, explained_variance, cosine, l0, never_active_share };
  });
}

async function addBlock(
  coders: readonly Coder[],
  block: Block,
  sums: readonly LayerSums[],
  { sparse, recipe, normalisations }: HeldOutOptions,
): Promise<void> {
  for (let start = 0; start < block.n; start += recipe.batchTokens) {
    const n = Math.min(recipe.batchTokens, block.n - start);
    const places = Int32Array.from({ length: n }, (_, i) => start + i);
    const inputs = coders.map(({ layer }) =>
      normalised(block.layers.get(layer)!.x, places, normalisations.get(layer)!.x),
    );
    const kept: { active: tf.Tensor; written: Tensor2D }[] = [];
    tf.tidy(() => {
      const steps = coders.map((coder, i) => {
        const pre = coder.preActivations(inputs[i]!);
        return { coder, x: inputs[i]!, choice: chooseAlone(sparse, recipe, coder, pre) };
      });
      const written = writtenBy(sparse, steps);
      for (const { coder, choice } of steps) {
        const { mean, scale } = normalisations.get(coder.layer)!.y;
        const raw = tf.add<Tensor2D>(tf.mul(written.get(coder.layer)!, scale), tf.tensor1d(mean));
        kept.push({ active: tf.keep(tf.clone(activeOf(choice))), written: tf.keep(raw) });
      }
    });
    tf.dispose(inputs);
    for (const [i, { active, written }] of kept.entries()) {
      const { d_model, layer } = coders[i]!;
      const y = block.layers.get(layer)!.y.subarray(start * d_model, (start + n) * d_model);
      const features = Int32Array.from(await active.data<'int32'>()).filter((feature) => feature >= 0);
      sums[i]!.add(y, await written.data<'float32'>(), {
        features,
        positions: features,
        values: Float32Array.of(),
      });
      tf.dispose([active, written]);
    }
  }
}

/** As the written set chooses: of BatchTopK one threshold is left, which does not depend on other tokens. */
function chooseAlone(sparse: SparseProducts, recipe: Recipe, coder: Coder, pre: Tensor2D): Choice {
  if (recipe.activation !== 'batchtopk') return choose(sparse, pre, recipe, coder.threshold());
  const cut = tf.fill<tf.Rank.R1>([recipe.d_transcoder], coder.numbers.cut ?? 0);
  return choose(sparse, pre, { ...recipe, activation: 'jumprelu' }, cut);
}

/** The number of each active feature, −1 where there is none; int32 of any shape. */
function activeOf(choice: Choice): tf.Tensor {
  if (choice.form === 'sparse') {
    const { indices, isActive } = choice;
    return isActive ? tf.where(tf.greater(isActive, 0), indices, tf.fill([1, 1], -1, 'int32')) : indices;
  }
  const numbers = tf.range(0, choice.isActive.shape[1], 1, 'int32');
  return tf.where(tf.greater(choice.isActive, 0), tf.expandDims(numbers, 0), tf.fill([1, 1], -1, 'int32'));
}
