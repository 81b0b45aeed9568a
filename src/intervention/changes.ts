/** Interventions, step 4 of 4: the edits that write a plan's changes into a pass. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../backend/backend.ts';
import type { Edit, HookName } from '../model/hooks.ts';
import type { ReplacementModel } from '../replacement/replacement-model.ts';
import type { Freeze } from './freeze.ts';
import type { InterventionPlan, PlannedLayer } from './plan.ts';
import type { ResolvedIntervention } from './resolve.ts';

/** The positions of a pass, and the values that its changes start from. */
export interface PassContext {
  /** Position of its first token. */
  readonly first: number;
  readonly n_pos: number;
  /** Positions before it count as inactive. */
  readonly ignored: number;
  /** Feature input of a layer in the original pass, where there is one. */
  readonly originalInput?: (layer: number) => Tensor2D;
}

/**
 * Wanted activations of a layer as matrices [n_pos, m]: mask · (scale · original + offset) where mask is 1, the present
 * activation elsewhere.
 */
export interface Wanted {
  readonly mask: Float32Array;
  readonly scale: Float32Array;
  readonly offset: Float32Array;
}

/** Edits of one pass, and what they keep between layers. Dispose them when the pass is over. */
export class FeatureChanges implements Disposable {
  readonly edits = new Map<HookName, Edit>();
  private readonly kept: Tensor2D[] = [];

  constructor(replacement: ReplacementModel, plan: InterventionPlan, freeze: Freeze, pass: PassContext) {
    const additions = new Map<number, (() => Tensor2D)[]>();
    for (const layer of plan.layers) {
      const wanted = wantedOf(layer, plan.interventions, pass);
      if (!wanted.mask.includes(1)) continue;
      let delta: Tensor2D | undefined; // [n_pos, m]; a cross-layer feature writes it in later layers too
      const keep = (value: Tensor2D): void => {
        delta = tf.keep(value);
        this.kept.push(delta);
      };
      const original = pass.originalInput?.(layer.layer);
      if (freeze.constrained) {
        keep(tf.tidy(() => deltaOf(layer, wanted, pass, original!, original)));
      } else {
        this.edits.set(replacement.inputHook(layer.layer), (input) => {
          keep(tf.tidy(() => deltaOf(layer, wanted, pass, input as Tensor2D, original)));
          return input;
        });
      }
      for (const [written, rows] of layer.decoders) {
        if (!freeze.receives(written)) continue;
        const earlier = additions.get(written) ?? [];
        additions.set(written, [...earlier, () => tf.matMul(delta!, rows)]);
      }
    }
    for (const [layer, makers] of additions) {
      this.edits.set(replacement.outputHook(layer), (output) =>
        tf.addN([output, ...makers.map((make) => make())]),
      );
    }
  }

  [Symbol.dispose](): void {
    for (const tensor of this.kept) tensor.dispose();
  }
}

/** What has to be added to the activations, wanted minus present, [n_pos, m]. */
function deltaOf(
  layer: PlannedLayer,
  { mask, scale, offset }: Wanted,
  pass: PassContext,
  input: Tensor2D,
  original: Tensor2D | undefined,
): Tensor2D {
  const shape: [number, number] = [pass.n_pos, layer.features.length];
  const active = tf.tensor2d(
    Float32Array.from({ length: pass.n_pos }, (_, row) => (pass.first + row < pass.ignored ? 0 : 1)),
    [pass.n_pos, 1],
  );
  const activations = (x: Tensor2D): Tensor2D => tf.mul(layer.activations(x), active);
  const present = activations(input);
  const base = original && original !== input ? activations(original) : present;
  const value = tf.add(tf.mul(base, tf.tensor2d(scale, shape)), tf.tensor2d(offset, shape));
  return tf.mul(tf.sub(value, present), tf.tensor2d(mask, shape));
}

/** The last intervention of a feature and position decides. */
export function wantedOf(
  { layer, features }: PlannedLayer,
  interventions: readonly ResolvedIntervention[],
  { first, n_pos }: Pick<PassContext, 'first' | 'n_pos'>,
): Wanted {
  const m = features.length;
  const [mask, scale, offset] = [0, 1, 2].map(() => new Float32Array(n_pos * m)) as [
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const columns = new Map(Array.from(features, (feature, column) => [feature, column]));
  for (const { layer: own, feature, start, stop, change } of interventions) {
    if (own !== layer) continue;
    const column = columns.get(feature)!;
    for (let row = Math.max(0, start - first); row < Math.min(n_pos, stop - first); row++) {
      const at = row * m + column;
      mask[at] = 1;
      scale[at] = change.kind === 'scale' ? change.factor : change.kind === 'add' ? 1 : 0;
      offset[at] = change.kind === 'set' ? change.value : change.kind === 'add' ? change.amount : 0;
    }
  }
  return { mask, scale, offset };
}
