/** Features: sources of pages, one for each folder or repository; several are searched in order. */
import type { FeaturePage } from '../transcoder/feature-page.ts';

export interface PageSource {
  /** For messages: a folder, or a repository with its commit. */
  readonly name: string;
  /** Whether reading a page never uses the network. */
  readonly isLocal: boolean;
  /** Null when it has no page of the feature. Throws `BadFileError` for a damaged one. */
  page(layer: number, feature: number): Promise<FeaturePage | null>;
}

/** Cantor's pairing of layer and feature into one number, by which one-file-a-feature layouts name their files. */
export function pairingNumber(layer: number, feature: number): number {
  return ((layer + feature) * (layer + feature + 1)) / 2 + feature;
}

/** How a feature is written in label files and in the API of the page: `LAYER_FEATURE`. */
export function featureKey(layer: number, feature: number): string {
  return `${layer}_${feature}`;
}
