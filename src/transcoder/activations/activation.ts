/**
 * Transcoder: from pre-activations to activations. One object a layer, with a rule by which a backend finds the active features of a
 * pass, and a tensor side (interventions, replaced MLPs, training), which agree.
 *
 * NaN stays NaN and is active, so that a damaged encoder is noticed and does not look like inactive features.
 */
import type { Tensor2D } from '../../backend/backend.ts';
import type { EntryRule } from '../../backend/entries.ts';

export type ActivationKind = 'relu' | 'jumprelu' | 'batchtopk' | 'topk' | 'groupmax';

export interface Activation {
  readonly kind: ActivationKind;
  /** Features kept a position, or groups; null for kinds that look at one feature at a time. */
  readonly k: number | null;
  /** Thresholds [d_transcoder]; null for kinds without. */
  readonly threshold: Float32Array | null;
  /** Whether a feature's activation depends on the pre-activations of the others at its position. */
  readonly needsAll: boolean;
  /** Which pre-activations [pos, d_transcoder] are activations that are not exactly 0. */
  readonly rule: EntryRule;
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
