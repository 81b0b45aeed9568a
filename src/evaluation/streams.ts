/**
 * Evaluation: a batch through the model as it is, with other values in place of every MLP's output, and in place of one MLP's at a
 * time. A stream begins to differ from the original one at the first layer that is replaced in it, and is run from there on alone.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../backend/backend.ts';
import type { Batch } from '../training/batch.ts';
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
      const continued = (i: number): Tensor2D => {
        const { base, output } = observed[i]!;
        const after = (): Tensor2D => pass.withOutput(layer, base, mixed(output, outputs[i]!, pass.batch));
        return owned.own(tf.tidy(after));
      };
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

/** What a layer writes with other outputs at inner positions; the others keep what their MLP writes. [positions, d_model] */
function mixed(own: Tensor2D, instead: Tensor2D, { inner }: Batch): Tensor2D {
  const rows = Int32Array.from({ length: own.shape[0] }, (_, position) => inner.length + position);
  for (const [row, position] of inner.entries()) rows[position] = row;
  return tf.gather(tf.concat([instead, own], 0), tf.tensor1d(rows, 'int32'));
}
