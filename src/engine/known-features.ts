/** Engine: what this disk knows about the features of a graph that is exported. */
import type { FeaturePage } from '../transcoder/feature-page.ts';
import type { DrawnGraph } from './drawn-graph.ts';
import { openFeatureSource, type ShownLabel } from './feature-source.ts';

/** A feature as the page shows it; its fields are those of `FeatureDetail` in the viewer's interface. */
export interface FeatureInPage {
  readonly layer: number;
  readonly feature: number;
  readonly page: FeaturePage | null;
  readonly label: ShownLabel | null;
  readonly neuronpedia: null;
}

/** Pages and labels that lie on this disk; nothing is asked of any network. */
export async function knownFeatures({ scan, set, viewer }: DrawnGraph, cacheDir: string | undefined) {
  const source = await openFeatureSource({ scan, set, cacheDir, offline: true });
  const places = viewer.nodes.flatMap(({ node_id, feature_type }): (readonly [number, number])[] => {
    const id = feature_type === 'cross layer transcoder' ? FEATURE_ID.exec(node_id) : null;
    return id === null ? [] : [[Number(id[1]), Number(id[2])]];
  });
  return {
    labels: () => source.labels(places),
    details: async (): Promise<Record<string, FeatureInPage>> => {
      const details: Record<string, FeatureInPage> = {};
      for (const [layer, feature] of places) {
        const key = `${layer}_${feature}`;
        if (key in details) continue;
        const [page, label] = await Promise.all([source.page(layer, feature), source.label(layer, feature)]);
        details[key] = { layer, feature, page, label, neuronpedia: null };
      }
      return details;
    },
  };
}

const FEATURE_ID = /^(\d+)_(\d+)_\d+$/;
