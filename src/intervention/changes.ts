/** Interventions, step 4 of 4: the edits that write a plan's changes into a pass. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../backend/backend.ts';
import type { Edit, HookName } from '../model/hooks.ts';
import type { ReplacementModel } from '../replacement/replacement-model.ts';
import type { Freeze } from './freeze.ts';
import type { HeldEncoder, InterventionPlan, PlannedLayer } from './plan.ts';
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
  readonly edits: ReadonlyMap<HookName, Edit>;
  /** Holds the encoder of a layer while it runs. */
  readonly beforeLayer: (layer: number) => Promise<Disposable | null>;
  /** Differences of activations [n_pos, m] by layer; a cross-layer feature writes them in later layers too. */
  private readonly deltas: Map<number, Tensor2D>;

  private constructor(
    edits: ReadonlyMap<HookName, Edit>,
    beforeLayer: (layer: number) => Promise<Disposable | null>,
    deltas: Map<number, Tensor2D>,
  ) {
    this.edits = edits;
    this.beforeLayer = beforeLayer;
    this.deltas = deltas;
  }

  static async of(
    replacement: ReplacementModel,
    plan: InterventionPlan,
    freeze: Freeze,
    pass: PassContext,
  ): Promise<FeatureChanges> {
    const edits = new Map<HookName, Edit>();
    const deltas = new Map<number, Tensor2D>();
    const changing = new Map<number, PlannedLayer>(); // from the feature input of the pass itself
    const additions = new Map<number, (() => Tensor2D)[]>();
    let encoder: HeldEncoder | null = null; // of the layer that runs
    try {
      for (const planned of plan.layers) {
        const { layer } = planned;
        const wanted = wantedOf(planned, plan.interventions, pass);
        if (!wanted.mask.includes(1)) continue;
        const original = pass.originalInput?.(layer);
        const keep = (held: HeldEncoder, input: Tensor2D): void => {
          const delta = tf.tidy(() => deltaOf(held, planned, wanted, pass, input, original));
          deltas.set(layer, tf.keep(delta));
        };
        if (freeze.constrained) {
          using held = await planned.encoder();
          keep(held, original!);
        } else {
          changing.set(layer, planned);
          edits.set(replacement.inputHook(layer), (input) => {
            keep(encoder!, input as Tensor2D);
            return input;
          });
        }
        for (const [written, rows] of planned.decoders) {
          if (!freeze.receives(written)) continue;
          const earlier = additions.get(written) ?? [];
          additions.set(written, [...earlier, () => tf.matMul(deltas.get(layer)!, rows)]);
        }
      }
    } catch (error) {
      for (const delta of deltas.values()) delta.dispose();
      throw error;
    }
    for (const [layer, makers] of additions) {
      edits.set(replacement.outputHook(layer), (output) =>
        tf.addN([output, ...makers.map((make) => make())]),
      );
    }
    const beforeLayer = async (layer: number): Promise<HeldEncoder | null> =>
      (encoder = (await changing.get(layer)?.encoder()) ?? null);
    return new FeatureChanges(edits, beforeLayer, deltas);
  }

  [Symbol.dispose](): void {
    for (const delta of this.deltas.values()) delta.dispose();
  }
}

/** What has to be added to the activations, wanted minus present, [n_pos, m]. */
function deltaOf(
  encoder: HeldEncoder,
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
  const activations = (x: Tensor2D): Tensor2D => tf.mul(encoder.activations(x), active);
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
