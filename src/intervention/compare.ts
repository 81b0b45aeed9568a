/** Interventions: differences between two passes. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../backend/backend.ts';
import type { ForwardResult } from '../model/transformer.ts';
import type { ActiveFeatures, ReplacementModel } from '../replacement/replacement-model.ts';
import { wantedOf } from './changes.ts';
import type { InterventionPlan } from './plan.ts';

/** Largest absolute difference of two tensors of one shape. */
export async function largestDifference(a: Tensor2D, b: Tensor2D): Promise<number> {
  const largest = tf.tidy(() => tf.max(tf.abs(tf.sub(a, b))));
  try {
    return (await largest.data())[0]!;
  } finally {
    largest.dispose();
  }
}

/** Σ p · (ln p − ln q) of the distributions that two rows of logits stand for, in nats. */
export function klDivergence(before: Float32Array, after: Float32Array): number {
  const [logP, logQ] = [logSoftmax(before), logSoftmax(after)];
  let sum = 0;
  for (let i = 0; i < logP.length; i++) sum += Math.exp(logP[i]!) * (logP[i]! - logQ[i]!);
  return Math.max(0, sum); // rounding may give a negative sum
}

function logSoftmax(logits: Float32Array): Float64Array {
  let largest = -Infinity;
  for (const logit of logits) if (logit > largest) largest = logit;
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - largest);
  const shift = largest + Math.log(sum);
  const result = new Float64Array(logits.length);
  for (let i = 0; i < logits.length; i++) result[i] = logits[i]! - shift;
  return result;
}

export interface FeatureChange {
  readonly layer: number;
  readonly position: number;
  readonly feature: number;
  readonly before: number;
  readonly after: number;
}

/** The k features whose activation changed most, largest change first. */
export function changedFeatures(before: ActiveFeatures, after: ActiveFeatures, k: number): FeatureChange[] {
  const changes = new Map<string, FeatureChange>();
  const collect = ({ indices, values }: ActiveFeatures, side: 'before' | 'after'): void => {
    for (let i = 0; i < values.length; i++) {
      const [layer, position, feature] = [indices[3 * i]!, indices[3 * i + 1]!, indices[3 * i + 2]!];
      const key = `${layer}:${position}:${feature}`;
      const other = changes.get(key) ?? { layer, position, feature, before: 0, after: 0 };
      changes.set(key, { ...other, [side]: values[i]! });
    }
  };
  collect(before, 'before');
  collect(after, 'after');
  const size = (change: FeatureChange): number => Math.abs(change.after - change.before);
  return [...changes.values()]
    .filter((change) => size(change) > 0)
    .sort((a, b) => size(b) - size(a))
    .slice(0, k);
}

/** The changes of a plan at every position of a prompt: the activation in the original pass, and the value wanted. */
export async function plannedChanges(
  replacement: ReplacementModel,
  plan: InterventionPlan,
  original: ForwardResult,
  tokens: ArrayLike<number>,
): Promise<FeatureChange[]> {
  const changes: FeatureChange[] = [];
  const ignored = replacement.ignoredPositions(tokens);
  for (const planned of plan.layers) {
    const { layer, features } = planned;
    const input = original.activations.get<Tensor2D>(replacement.inputHook(layer));
    using encoder = await planned.encoder();
    const present = tf.tidy(() => encoder.activations(input));
    const activations = await present.data<'float32'>();
    present.dispose();
    const { mask, scale, offset } = wantedOf(planned, plan.interventions, { first: 0, n_pos: tokens.length });
    for (let at = 0; at < mask.length; at++) {
      if (mask[at] !== 1) continue;
      const position = Math.floor(at / features.length);
      const before = position < ignored ? 0 : activations[at]!;
      const after = scale[at]! * before + offset[at]!;
      changes.push({ layer, position, feature: features[at % features.length]!, before, after });
    }
  }
  return changes;
}
