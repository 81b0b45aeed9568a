/** Engine: local pages and labels of the features of a graph that is exported. */
import { featuresOf } from '../../graph/neuronpedia.ts';
import type { FeaturePage } from '../../transcoder/feature-page.ts';
import type { DrawnGraph } from './drawn-graph.ts';
import { openFeatureSource } from '../features/source.ts';
import type { ShownLabel } from '../features/types.ts';

/** A feature as the page shows it; its fields are those of `FeatureDetail` in the viewer's interface. */
export interface FeatureInPage {
  readonly layer: number;
  readonly feature: number;
  readonly page: FeaturePage | null;
  readonly label: ShownLabel | null;
  readonly neuronpedia: null;
}

/** Pages and labels on the local disk; the network is not used. */
export async function knownFeatures({ scan, set, viewer }: DrawnGraph, cacheDir: string | undefined) {
  const source = await openFeatureSource({ scan, set, cacheDir, offline: true });
  const features = featuresOf(viewer);
  return {
    labels: () => source.labels(features),
    details: async (): Promise<Record<string, FeatureInPage>> => {
      const details: Record<string, FeatureInPage> = {};
      for (const [layer, feature] of features) {
        const key = `${layer}_${feature}`;
        if (key in details) continue;
        const [page, label] = await Promise.all([source.page(layer, feature), source.label(layer, feature)]);
        details[key] = { layer, feature, page, label, neuronpedia: null };
      }
      return details;
    },
  };
}
