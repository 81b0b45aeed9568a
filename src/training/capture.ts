/** Training: hooks of a pass that capture the values that transcoders read and reconstruct. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../backend/backend.ts';
import type { HookPoints } from '../model/activation-cache.ts';
import { blockHook, type BlockSite } from '../model/hooks.ts';
import type { Batch } from './batch.ts';
import type { BatchModel } from './model-parameters.ts';
import { residualOf } from './pass.ts';

export const FEATURE_INPUT: BlockSite = 'ln2.hook_normalized';
export const FEATURE_OUTPUT: BlockSite = 'hook_mlp_out';

/** One entry a layer, [n_rows · length, d_model]. */
export interface MlpValues {
  readonly inputs: readonly Tensor2D[];
  readonly outputs: readonly Tensor2D[];
}

/** Changes what an MLP writes: gets the layer, the feature input and the MLP's output. */
export type OutputEdit = (layer: number, input: Tensor2D, output: Tensor2D) => Tensor2D;

/** A pass with the input and output of every MLP (the output of `edit`, where there is one). Called inside a tidy. */
export function capturingPass(
  model: BatchModel,
  batch: Batch,
  edit: OutputEdit = (_layer, _input, output) => output,
): MlpValues & { readonly residual: Tensor2D } {
  const inputs: Tensor2D[] = [];
  const outputs: Tensor2D[] = [];
  const places = new Map<string, { layer: number; site: 'input' | 'output' }>();
  for (let layer = 0; layer < model.config.n_layers; layer++) {
    places.set(blockHook(layer, FEATURE_INPUT), { layer, site: 'input' });
    places.set(blockHook(layer, FEATURE_OUTPUT), { layer, site: 'output' });
  }
  const hooks: HookPoints = {
    at(name, value) {
      const place = places.get(name);
      if (!place) return value;
      const matrix = value as tf.Tensor as Tensor2D;
      if (place.site === 'input') {
        inputs[place.layer] = matrix;
        return value;
      }
      const edited = edit(place.layer, inputs[place.layer]!, matrix);
      outputs[place.layer] = edited;
      return edited as tf.Tensor as typeof value;
    },
  };
  const residual = residualOf(model, batch, hooks);
  return { inputs, outputs, residual };
}

/** Rows of a matrix at places. */
export function rowsAt(values: Tensor2D, places: Int32Array): Tensor2D {
  return tf.gather(values, tf.tensor1d(places, 'int32'));
}
