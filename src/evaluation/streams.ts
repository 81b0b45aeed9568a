/**
 * Evaluation: a batch through the model as it is, with other values in place of every MLP's output, and in place of one MLP's at a
 * time. A stream begins to differ from the original one at the first layer that is replaced in it, and is run from there on alone.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../backend/backend.ts';
import { blockHook } from '../model/hooks.ts';
import { NO_HOOKS } from '../training/pass.ts';
import { OwnedTensors } from './owned-tensors.ts';
import type { LayerValues, StackedPass } from './stacked-pass.ts';

/** What is put in place of MLPs. */
export interface OutputsInstead {
  /**
   * In place of what the MLP of a layer writes, for each stream that is given, [n, d_model] with a row for each of the batch's `inner`
   * positions; they belong to the caller. The first stream is the original, the second (from the second replaced layer on) the one in
   * which all are replaced.
   */
  outputs(layer: number, streams: readonly LayerValues[]): Promise<Tensor2D[]>;
}

/** Residual streams after the last layer, [n_rows · length, d_model]. Dispose it, or take it with `using`. */
export interface Streams extends Disposable {
  readonly original: Tensor2D;
  readonly all: Tensor2D;
  /** By the layer that is replaced alone. */
  readonly alone: ReadonlyMap<number, Tensor2D>;
}

export interface ReplacedLayers {
  /** Replaced together. */
  readonly all: ReadonlySet<number>;
  /** Replaced one at a time; among those. */
  readonly alone: ReadonlySet<number>;
}

export async function replacedStreams(
  pass: StackedPass,
  layers: ReplacedLayers,
  instead: OutputsInstead,
): Promise<Streams> {
  const { n_layers } = pass.replacement.model.config;
  const owned = new OwnedTensors();
  try {
    let original = owned.own(await pass.embed());
    let all: Tensor2D | undefined;
    let alone = new Map<number, Tensor2D>();
    for (let layer = 0; layer < n_layers; layer++) {
      const before = [original, ...(all ? [all] : []), ...alone.values()];
      const isReplaced = layers.all.has(layer);
      const { after, observed } = await pass.run(layer, before, isReplaced ? (all ? 2 : 1) : 0);
      using values = new OwnedTensors();
      for (const tensors of observed)
        Object.values(tensors).forEach((tensor: Tensor2D) => values.own(tensor));
      for (const tensor of after) owned.own(tensor);
      for (const tensor of before) owned.free(tensor);
      original = after[0]!;
      const later = all ? after.slice(2) : after.slice(1);
      all &&= after[1];
      alone = new Map([...alone.keys()].map((replaced, i) => [replaced, later[i]!]));
      if (!isReplaced) continue;
      const outputs = (await instead.outputs(layer, observed)).map((output) => values.own(output));
      const continued = (i: number): Tensor2D =>
        owned.own(withOutput(pass, layer, observed[i]!, outputs[i]!));
      if (layers.alone.has(layer)) alone.set(layer, continued(0));
      if (all) owned.free(all);
      all = continued(all ? 1 : 0);
    }
    return { original, all: all!, alone, [Symbol.dispose]: () => owned[Symbol.dispose]() };
  } catch (error) {
    owned[Symbol.dispose]();
    throw error;
  }
}

/** The residual stream after a layer with other outputs at inner positions; the others keep what their MLP writes. */
function withOutput(
  { batch: { inner }, replacement }: StackedPass,
  layer: number,
  { base, output }: LayerValues,
  instead: Tensor2D,
): Tensor2D {
  const n = base.shape[0];
  const rows = Int32Array.from({ length: n }, (_, position) => inner.length + position);
  for (const [row, position] of inner.entries()) rows[position] = row;
  return tf.tidy(() => {
    const written: Tensor2D = tf.gather(tf.concat([instead, output], 0), tf.tensor1d(rows, 'int32'));
    const entering = replacement.normBehind(layer)?.forward(written, NO_HOOKS, {
      scale: blockHook(layer, 'ln2_post.hook_scale'),
      normalized: blockHook(layer, 'ln2_post.hook_normalized'),
    });
    return tf.add<Tensor2D>(base, entering ?? written);
  });
}
