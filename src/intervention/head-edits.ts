/** Interventions on heads: the edits that scale entries of patterns in a pass. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor2D, Tensor3D } from '../backend/backend.ts';
import { blockHook, type Edit, type HookName } from '../model/hooks.ts';
import { patternHook } from '../replacement/held-pattern.ts';
import type { ReplacementModel } from '../replacement/replacement-model.ts';
import { headFactors, type HeadChange } from './head-change.ts';

export interface HeadChanges {
  /** Resolved. */
  readonly changes: readonly HeadChange[];
  /** Rows that were changed add up to what they added up to before. */
  readonly renormalize: boolean;
}

/**
 * Edits at patterns, to be applied after those that hold patterns fixed. Where the bias of W_V is part of that of W_O, as if every row
 * added up to one, what a changed row lacks or has too much of it is added at `hook_z`.
 */
export function headEdits(
  { model }: ReplacementModel,
  { changes, renormalize }: HeadChanges,
  n_pos: number,
): ReadonlyMap<HookName, Edit> {
  const { n_heads, n_kv_heads, d_head } = model.config;
  const edits = new Map<HookName, Edit>();
  for (const layer of new Set(changes.map((change) => change.layer))) {
    const factors = headFactors(changes, layer, n_heads, n_pos);
    let moved: Tensor2D | undefined; // change of the sum of each row, [n_heads, pos]; made and used within one tidy
    edits.set(patternHook(layer), (value: Tensor) => {
      const pattern = value as Tensor3D;
      const scaled = tf.mul<Tensor3D>(pattern, tf.tensor3d(factors, [n_heads, n_pos, n_pos]));
      const changed = renormalize ? renormalized(pattern, scaled) : scaled;
      moved = tf.sub<Tensor2D>(tf.sum(changed, 2), tf.sum(pattern, 2));
      return changed;
    });
    const { foldedValueBias } = model.weights.blocks[layer]!;
    if (!foldedValueBias) continue;
    edits.set(blockHook(layer, 'attn.hook_z'), (value: Tensor) => {
      const group = n_heads / n_kv_heads;
      const ofHeads = tf.reshape<tf.Rank.R3>(
        tf.tile(tf.reshape<tf.Rank.R3>(foldedValueBias, [n_kv_heads, 1, d_head]), [1, group, 1]),
        [1, n_heads, d_head],
      );
      const byPosition = tf.reshape<tf.Rank.R3>(tf.transpose(moved!), [n_pos, n_heads, 1]);
      return tf.add(value, tf.mul(byPosition, ofHeads));
    });
  }
  return edits;
}

/** Rows scaled so that they add up to what they added up to; rows of zeros stay. */
function renormalized(before: Tensor3D, after: Tensor3D): Tensor3D {
  const [was, is] = [tf.sum(before, 2, true), tf.sum(after, 2, true)];
  const isEmpty = tf.equal(is, 0);
  const factor = tf.div(was, tf.where(isEmpty, tf.onesLike(is), is));
  return tf.mul(after, factor);
}
