/**
 * Transcoder: from pre-activations to activations. One object a layer, with a plain side (features of a pass, rows of numbers)
 * and a tensor side (interventions, replaced MLPs, training), which follow the same rules.
 *
 * NaN stays NaN and is active, so that a damaged encoder is noticed and does not look like inactive features.
 */
import type { Tensor2D } from '../../backend/backend.ts';

export type ActivationKind = 'relu' | 'jumprelu' | 'batchtopk' | 'topk' | 'groupmax';

/** Takes an active feature of a position. */
export type Emit = (feature: number, value: number) => void;

export interface Activation {
  readonly kind: ActivationKind;
  /** Features kept a position, or groups; null for kinds that look at one feature at a time. */
  readonly k: number | null;
  /** Thresholds [d_transcoder]; null for kinds without. */
  readonly threshold: Float32Array | null;
  /** Whether a feature's activation depends on the pre-activations of the others at its position. */
  readonly needsAll: boolean;
  /** Emits the features of one position whose activation is not exactly 0, ascending. `row` is [d_transcoder]. */
  active(row: Float32Array, emit: Emit): void;
  /** Activations as tensors, of these features [m]; of all when left out. */
  on(features?: Int32Array): FeatureActivations;
}

/** Activations of some features of a layer as tensors. Dispose it, or take it with `using`. */
export interface FeatureActivations extends Disposable {
  /** Whether `of` takes the pre-activations of all features, [n, d_transcoder]; else those of its own, [n, m]. */
  readonly needsAll: boolean;
  /** [n, m], 0 where a feature is not active. Called inside a tidy. */
  of(pre: Tensor2D): Tensor2D;
}

/** Active features of one layer, sorted by position, then feature. */
export interface LayerFeatures {
  readonly positions: Int32Array;
  readonly features: Int32Array;
  readonly values: Float32Array;
}

/**
 * The features whose activation is not exactly 0.
 * @param pre pre-activations [n_pos, d_transcoder], row-major
 * @param firstPosition positions before it count as inactive
 */
export function activeFeatures(
  pre: Float32Array,
  n_pos: number,
  d_transcoder: number,
  activation: Activation,
  firstPosition = 0,
): LayerFeatures {
  const positions: number[] = [];
  const features: number[] = [];
  const values: number[] = [];
  for (let position = firstPosition; position < n_pos; position++) {
    const row = pre.subarray(position * d_transcoder, (position + 1) * d_transcoder);
    activation.active(row, (feature, value) => {
      positions.push(position);
      features.push(feature);
      values.push(value);
    });
  }
  return {
    positions: Int32Array.from(positions),
    features: Int32Array.from(features),
    values: Float32Array.from(values),
  };
}
