/** Features: where pages come from. A source answers for one place; several are asked in turn. */
import type { FeaturePage } from '../transcoder/feature-page.ts';

export interface PageSource {
  /** For people: a folder, or a repository with its commit. */
  readonly name: string;
  /** Whether reading a page never asks the network. */
  readonly isLocal: boolean;
  /** Null when it has no page of the feature. Throws `BadFileError` for a damaged one. */
  page(layer: number, feature: number): Promise<FeaturePage | null>;
}

/** Cantor's pairing of layer and feature into one number, by which one-file-a-feature layouts name their files. */
export function pairingNumber(layer: number, feature: number): number {
  return ((layer + feature) * (layer + feature + 1)) / 2 + feature;
}

/** How a feature is written in label files and in what the page is told: `LAYER_FEATURE`. */
export function featureKey(layer: number, feature: number): string {
  return `${layer}_${feature}`;
}
