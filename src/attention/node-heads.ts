/** Attention, step 4 of a whole target: what each head brings to it as the last one, of all its sources together. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../backend/backend.ts';
import { DirectSums } from './direct-sums.ts';
import { addPositions } from './position-loadings.ts';
import { passValues } from './stored-values.ts';
import { featureBatches, logitBatch, walkTargets, type TargetBatch } from './target-walk.ts';
import type { TracedPrompt } from './traced-prompt.ts';

/** By row of a batch of targets. */
export interface NodeHeads {
  readonly n_layers: number;
  readonly n_heads: number;
  readonly n_pos: number;
  /** What reaches a target without any head, of all sources together, [n]. */
  readonly direct: Float32Array;
  /** What heads bring as the last ones, by key position, [n, n_layers, n_heads, n_pos]. */
  readonly lastKeys: Float32Array;
}

/**
 * Sums over the links of targets, without the links: the whole pass is the one source. What heads take has constants too (biases below, and
 * the bias of their own values) and what MLPs write at positions that a graph leaves out; no link has any of it. `direct` has no constants.
 */
export async function nodeHeads(prompt: TracedPrompt, batch: TargetBatch): Promise<NodeHeads> {
  const { n_layers, n_heads } = prompt.replacement.model.config;
  const { n_pos } = prompt;
  const { n } = batch;
  const lastKeys = new Float32Array(n * n_layers * n_heads * n_pos);
  const pairs = {
    rows: Int32Array.from({ length: n }, (_, row) => row),
    blocks: new Int32Array(n),
    ranks: new Int32Array(n),
  };
  using sums = new DirectSums(prompt, batch);
  await walkTargets(prompt, batch, {
    async heads(layer, attention, queries) {
      using values = passValues(prompt, layer, attention);
      const meeting = { attention, batch, queries, values };
      await addPositions(prompt, meeting, layer, pairs, 0, { lastKeys, firstQueries: null });
    },
    cutOutput: (layer, g) => sums.addOutput(layer, g),
    cutPost: async (layer, g) => {
      if (layer < 0) await sums.addEmbedding(g);
    },
  });
  const rows = await sums.values();
  const width = prompt.list.n_sources;
  const direct = Float32Array.from({ length: n }, (_, row) =>
    rows.subarray(row * width, (row + 1) * width).reduce((sum, value) => sum + value, 0),
  );
  return { n_layers, n_heads, n_pos, direct, lastKeys };
}

/** In one row. @param feature index into the active features */
export async function headsOfFeature(prompt: TracedPrompt, feature: number): Promise<NodeHeads> {
  return await nodeHeads(prompt, featureBatches(prompt, Int32Array.of(feature), 1)[0]!);
}

/** In one row. @param vectors of all logits, at the output of the final norm; they stay the caller's */
export async function headsOfLogit(
  prompt: TracedPrompt,
  vectors: Tensor2D,
  logit: number,
): Promise<NodeHeads> {
  const vector = tf.slice<tf.Rank.R2, Tensor2D>(vectors, [logit, 0], [1, -1]);
  try {
    return await nodeHeads(prompt, logitBatch(prompt, vector));
  } finally {
    vector.dispose();
  }
}
